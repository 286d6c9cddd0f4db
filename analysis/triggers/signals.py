"""The signals that a rule may name: what they are, and their values at one moment."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, NamedTuple

from analysis.cells.areas import GROUPS, NAMES
from rig.errors import Refused

Kind = Literal["number", "text", "flag"]
Value = float | str | bool | None
"""None: undefined."""


class Signal(NamedTuple):
    """A signal of a rule."""

    kind: Kind
    of_frames: bool
    """True if it is known for imaging frames only."""


BEHAVIOR: dict[str, Kind] = {
    "position_m": "number",
    "speed_cm_s": "number",
    "since_start_s": "number",
    "since_cue_s": "number",
    "since_lick_s": "number",
    "licks": "number",
    "trial": "number",
    "stimulus": "text",
    "moving": "flag",
    "rewarded": "flag",
    "cued": "flag",
}
AREA_SIGNALS: dict[str, tuple[str, ...]] = {"activity": NAMES, "projection": tuple(GROUPS)}
"""Signals of imaging frames that need an area, as in projection.medial, and their areas."""
RAMP = "ramp"
"""The population signal of reward prediction."""
PLACES = ("texture", "grey", "picture")
"""What may follow "in"."""


def find_signal(name: str) -> Signal:
    """Return the signal of a name, such as "position_m" or "projection.medial". Raises Refused."""
    if name in BEHAVIOR:
        return Signal(BEHAVIOR[name], of_frames=False)
    if name == RAMP:
        return Signal("number", of_frames=True)
    base, dot, area = name.partition(".")
    if base not in AREA_SIGNALS:
        known = [*BEHAVIOR, RAMP, *(f"{one}.AREA" for one in AREA_SIGNALS)]
        raise Refused(f'there is no signal "{name}"; {_suggest(base, known)}')
    if area not in AREA_SIGNALS[base]:
        areas = AREA_SIGNALS[base]
        if not dot:
            raise Refused(f'"{name}" needs an area, as in {base}.{areas[-1]}')
        raise Refused(f'"{name}": there is no area "{area}"; {_suggest(area, areas)}')
    return Signal("number", of_frames=True)


def check_place(name: str) -> None:
    """Check what follows "in". Raises Refused."""
    if name not in PLACES:
        raise Refused(f'there is no place "{name}" after "in"; {_suggest(name, PLACES)}')


@dataclass(frozen=True)
class Moment:
    """What is known at one moment: of a tick of the wheel, or of the scan of a frame."""

    t: int
    """When it was, ns."""
    trial: int
    """Number of the trial; -1 between trials."""
    values: dict[str, Value]
    """Each signal by name; one that is missing is undefined."""
    place: str
    """One of PLACES; "" outside a trial."""
    frame: int | None = None
    """Index of the frame; None for a tick of the wheel."""


def _suggest(name: str, known: Iterable[str]) -> str:
    known = list(known)
    like = get_close_matches(name, known, 1, 0.6)
    return f'did you mean "{like[0]}"?' if like else f"choose one of: {', '.join(known)}"
