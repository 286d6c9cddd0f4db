"""The signals that a rule may name, and their values at one moment."""

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
    """True if the signal has values only for imaging frames."""


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
PROJECTION = "projection"
AREA_SIGNALS: dict[str, tuple[str, ...]] = {"activity": NAMES, PROJECTION: tuple(GROUPS)}
"""Areas of the signals of imaging frames that need an area, as in projection.medial.

Without a pair of stimuli, a projection is that of the reference contrast; with one, as in
projection.medial.leaf2.circle1, that of the pair.
"""
RAMP = "ramp"
"""The population signal of reward prediction."""
PLACES = ("texture", "grey", "picture")
"""The places that may follow "in"."""


def find_signal(name: str) -> Signal:
    """Return the signal called `name`, such as "position_m" or "projection.medial".

    Raises:
        Refused: There is no such signal.
    """
    if name in BEHAVIOR:
        return Signal(BEHAVIOR[name], of_frames=False)
    if name == RAMP:
        return Signal("number", of_frames=True)
    base, *rest = name.split(".")
    if base not in AREA_SIGNALS:
        known = [*BEHAVIOR, RAMP, *(f"{one}.AREA" for one in AREA_SIGNALS)]
        raise Refused(f'there is no signal "{name}"; {_suggest(base, known)}')
    areas = AREA_SIGNALS[base]
    if not rest:
        raise Refused(f'"{name}" needs an area, as in {base}.{areas[-1]}')
    if rest[0] not in areas:
        raise Refused(f'"{name}": there is no area "{rest[0]}"; {_suggest(rest[0], areas)}')
    if len(rest) > 1 and (base != PROJECTION or len(rest) != 3):
        raise Refused(
            f'"{name}" has too many parts; write {base}.AREA, or for another pair of stimuli '
            f"{PROJECTION}.AREA.A.B"
        )
    return Signal("number", of_frames=True)


def contrast_of(name: str) -> tuple[str, ...]:
    """Return the pair of stimuli at the end of a projection's name; () if there is none."""
    base, *rest = name.split(".")
    return tuple(rest[1:]) if base == PROJECTION else ()


def check_place(name: str) -> None:
    """Raise Refused if `name`, which follows "in", is not one of PLACES."""
    if name not in PLACES:
        raise Refused(f'there is no place "{name}" after "in"; {_suggest(name, PLACES)}')


@dataclass(frozen=True)
class Moment:
    """The values of all signals at one moment: a tick of the wheel, or the scan of a frame."""

    t: int
    """Time of the moment, ns."""
    trial: int
    """Number of the trial; -1 between trials."""
    values: dict[str, Value]
    """Value of each signal by name; a missing signal is undefined."""
    place: str
    """One of PLACES; "" outside a trial."""
    frame: int | None = None
    """Index of the frame; None for a tick of the wheel."""


def _suggest(name: str, known: Iterable[str]) -> str:
    known = list(known)
    like = get_close_matches(name, known, 1, 0.6)
    return f'did you mean "{like[0]}"?' if like else f"choose one of: {', '.join(known)}"
