"""What light a session's pictures gave: by its own photodiode, and by another recorder's trace."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rig.errors import Refused
from rig.messages import Edge, Flip
from rig.settings.config import SETTINGS_FILE, read_session
from rig.transport.log import LOG_FILE, read_kinds
from stimuli.photodiode.decode import Lit, by_edges, by_trace, clock

_COLUMNS = ("picture", "trace_s", "exact", "flip_s", "position_m")
_HOW = "a .npy of one column, or a text file with a level a line"


def seen(folder: Path, trace: Path | None, sample_hz: float) -> Iterator[tuple[str, bool]]:
    """Yield a sentence for the session's photodiode and one for a trace, and whether it is sound.

    Which picture the trace saw when is written beside it. Raises Refused.
    """
    if trace is None and not (folder / SETTINGS_FILE).exists():
        return  # of an older version, which kept them in its log alone
    refresh_hz, line = read_settings(folder)
    flips, edges = logged(folder, line)
    if trace is None and (not flips or len(edges) < 2):
        return
    if edges:
        yield _own(flips, np.array(edges) / 1e9, refresh_hz)
    if trace is not None:
        lit = by_trace(_levels(trace), sample_hz, flips, refresh_hz)
        yield _foreign(trace, lit, flips, refresh_hz)
        yield _kept(trace.with_suffix(".pictures.csv"), lit, flips), True


def read_settings(folder: Path) -> tuple[float, str]:
    """Return the display's refreshes a second, and the line that its photodiode is on."""
    nodes = read_session(folder).nodes
    line = str(nodes.get("integrity", {}).get("photodiode", ""))
    return float(nodes.get("display", {}).get("refresh_hz", 60.0)), line


def logged(folder: Path, line: str) -> tuple[list[Flip], list[int]]:
    """Return a session's flips, and when (ns) that line changed."""
    messages = [message for _, message in read_kinds(folder / LOG_FILE, {Flip, Edge})]
    edges = sorted(
        message.t for message in messages if isinstance(message, Edge) and message.line == line
    )
    return [message for message in messages if isinstance(message, Flip)], edges


def _own(flips: list[Flip], edges_s: NDArray[np.float64], hz: float) -> tuple[str, bool]:
    try:
        lit = by_edges(edges_s, flips, hz)
    except Refused as refusal:
        return f"photodiode: {refusal}", True  # late frames by the dozen: integrity judged it
    delays_ms = (lit.seen_s - lit.flip_s)[lit.exact] * 1e3
    low, middle, high = np.percentile(delays_ms, [1, 50, 99])
    astray = int((np.abs(delays_ms - middle) > 500 / hz).sum())
    what = f"photodiode: {lit.at.size} of {len(flips)} pictures read off the light alone, "
    what += f"{middle:.1f} ms after their flip (1st to 99th percentile {low:.1f} to {high:.1f})"
    return what + (f"; {astray} at another time than was said" if astray else ""), not astray


def _foreign(trace: Path, lit: Lit, flips: list[Flip], hz: float) -> tuple[str, bool]:
    line = clock(lit)
    what = f"{trace.name}: {lit.at.size} of {len(flips)} pictures read off the light alone; its "
    what += (
        f"0 s is {line.begin_s:.4f} s of the session, its clock {(1 / line.rate - 1) * 1e6:+.0f}"
    )
    what += f" ppm fast; 99 of 100 flips lie within {line.off_ms:.1f} ms of that"
    return what, line.off_ms < 500 / hz


def _kept(path: Path, lit: Lit, flips: list[Flip]) -> str:
    """Write which picture was seen when, anew each time; return where it is."""
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(_COLUMNS)
            for at, seen_s, exact in zip(lit.at, lit.seen_s, lit.exact, strict=True):
                flip = flips[at]
                place = (f"{flip.t / 1e9:.6f}", f"{flip.position_m:.6f}")
                rows.writerow((flip.number, f"{seen_s:.6f}", int(exact), *place))
    except OSError as error:
        raise Refused(f"{path} cannot be written ({error.strerror}); copy the trace") from error
    return f"which picture was seen when: {path}"


def _levels(path: Path) -> NDArray[np.float64]:
    try:
        read = np.load(path) if path.suffix == ".npy" else np.loadtxt(path)
        return np.asarray(read, float).reshape(max(np.shape(read), default=1))
    except (OSError, ValueError) as error:
        raise Refused(f"{path} is no trace ({error}); give {_HOW}") from error
