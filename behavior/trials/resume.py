"""The state from which an interrupted session continues: counts and times of earlier parts."""

from typing import Annotated

import msgspec
from msgspec import Meta


class ResumePoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The state of an interrupted session at its end, over all its parts so far.

    `rig run --continue` reads it from the log of the last part. It is part of the settings, so
    that the log of the next part can be understood and replayed without other logs.
    """

    trial: Annotated[int, Meta(ge=0)]
    """Number of the next trial: the number of trials drawn so far, including aborted trials."""
    block: Annotated[int, Meta(ge=0)]
    completed: list[str]
    """The stimuli of the completed trials of that block."""
    next_stimulus: str | None
    """The stimulus of the next trial, as announced in the log; None if it was not announced."""
    session_s: Annotated[float, Meta(ge=0)]
    """Duration of the session so far, s, without the time between its parts."""
    block_s: Annotated[float, Meta(ge=0)]
    """Duration of that block so far, s."""
    given_ul: Annotated[float, Meta(ge=0)]
    """Water that the mouse was given, or may have been given, microlitres."""
    misses: Annotated[int, Meta(ge=0)]
    """Number of rewarded trials since the last rewarded trial with water."""
    unlicked: Annotated[int, Meta(ge=0)]
    """Number of rewarded trials since the last rewarded trial with a lick."""
