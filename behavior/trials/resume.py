"""The state with which an interrupted session continues: counts and times of its earlier parts."""

from typing import Annotated

import msgspec
from msgspec import Meta


class ResumePoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The state of an interrupted session at its end, over all its parts so far.

    `rig run --continue` reads it from the log of the last part. It is part of the settings, so
    that the log of the next part can be understood and replayed by itself.
    """

    trial: Annotated[int, Meta(ge=0)]
    """Number of the next trial: trials drawn so far, aborted ones included."""
    block: Annotated[int, Meta(ge=0)]
    completed: list[str]
    """The stimuli of the completed trials of that block."""
    next_stimulus: str | None
    """The stimulus of the next trial, as the log announced it; None: it did not."""
    session_s: Annotated[float, Meta(ge=0)]
    """How long the session ran, s; the time between its parts does not count."""
    block_s: Annotated[float, Meta(ge=0)]
    """How long that block ran, s."""
    given_ul: Annotated[float, Meta(ge=0)]
    """The water that the mouse may have been given, microlitres."""
    misses: Annotated[int, Meta(ge=0)]
    """Rewarded trials since the last one with water."""
    unlicked: Annotated[int, Meta(ge=0)]
    """Rewarded trials since the last one with a lick."""
