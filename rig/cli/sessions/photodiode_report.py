"""Find when each flip was seen, by the session's photodiode and in another recorder's trace."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rig.errors import Refused
from rig.messages import Edge, Flip
from rig.settings.config import SETTINGS_FILE, read_session
from rig.transport.log import LOG_FILE, read_kinds
from stimuli.photodiode.decode import MatchedFlips, fit_clock, match_edges, match_trace

_COLUMNS = ("flip", "trace_s", "exact", "flip_s", "position_m")
_TRACE_FORMATS = "a .npy file with one column, or a text file with one level a line"


def photodiode_checks(
    folder: Path, trace: Path | None, sample_hz: float
) -> Iterator[tuple[str, bool]]:
    """Yield sentences on the session's photodiode and on a trace, with True if all is good.

    The time of each flip in the trace is written to a CSV file beside the trace.

    Args:
        folder: The session.
        trace: The photodiode trace of another recorder, if there is one.
        sample_hz: Sampling rate of the trace.

    Raises:
        Refused: The trace cannot be read, or does not fit the session.
    """
    if trace is None and not (folder / SETTINGS_FILE).exists():
        return  # sessions of older versions have their settings only in the log
    refresh_hz, line = read_settings(folder)
    flips, edges = read_flips_and_edges(folder, line)
    if trace is None and (not flips or len(edges) < 2):
        return
    if edges:
        yield _check_edges(flips, np.array(edges) / 1e9, refresh_hz)
    if trace is not None:
        matched = match_trace(_read_trace(trace), sample_hz, flips, refresh_hz)
        yield _check_trace(trace, matched, flips, refresh_hz)
        yield _write_flip_times(trace.with_suffix(".flips.csv"), matched, flips), True


def read_settings(folder: Path) -> tuple[float, str]:
    """Return the refresh rate of a session's display, and the line of its photodiode."""
    nodes = read_session(folder).nodes
    line = str(nodes.get("integrity", {}).get("photodiode", ""))
    return float(nodes.get("display", {}).get("refresh_hz", 60.0)), line


def read_flips_and_edges(folder: Path, line: str) -> tuple[list[Flip], list[int]]:
    """Return the flips of a session, and the times (ns) of the edges on a line."""
    messages = [message for _, message in read_kinds(folder / LOG_FILE, {Flip, Edge})]
    edges = sorted(
        message.t for message in messages if isinstance(message, Edge) and message.line == line
    )
    return [message for message in messages if isinstance(message, Flip)], edges


def _check_edges(flips: list[Flip], edges_s: NDArray[np.float64], hz: float) -> tuple[str, bool]:
    try:
        matched = match_edges(edges_s, flips, hz)
    except Refused as refusal:
        return f"photodiode: {refusal}", True  # the integrity process has checked each edge
    delays_ms = (matched.seen_s - matched.flip_s)[matched.exact] * 1e3
    low, middle, high = np.percentile(delays_ms, [1, 50, 99])
    wrong = int((np.abs(delays_ms - middle) > 500 / hz).sum())
    text = f"photodiode: {matched.flip_index.size} of {len(flips)} flips seen, a median of "
    text += f"{middle:.1f} ms after the flip (1st to 99th percentile {low:.1f} to {high:.1f} ms)"
    if wrong:
        text += f"; {wrong} of them differ from that by more than half a frame"
    return text, not wrong


def _check_trace(
    trace: Path, matched: MatchedFlips, flips: list[Flip], hz: float
) -> tuple[str, bool]:
    fit = fit_clock(matched)
    ppm = (1 / fit.rate - 1) * 1e6
    text = (
        f"{trace.name}: {matched.flip_index.size} of {len(flips)} flips seen; the trace begins at "
    )
    text += f"{fit.begin_s:.4f} s of the session, its clock runs {abs(ppm):.0f} ppm "
    text += f"{'fast' if ppm >= 0 else 'slow'}, and 99 % of the flips fit that within "
    text += f"{fit.residual_ms:.1f} ms"
    return text, fit.residual_ms < 500 / hz


def _write_flip_times(path: Path, matched: MatchedFlips, flips: list[Flip]) -> str:
    """Write the time of each flip to a file, replacing an older one; return a sentence on it."""
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(_COLUMNS)
            for index, seen_s, exact in zip(
                matched.flip_index, matched.seen_s, matched.exact, strict=True
            ):
                flip = flips[index]
                place = (f"{flip.t / 1e9:.6f}", f"{flip.position_m:.6f}")
                rows.writerow((flip.number, f"{seen_s:.6f}", int(exact), *place))
    except OSError as error:
        raise Refused(
            f"{path} cannot be written ({error.strerror}); copy the trace to another folder"
        ) from error
    return f"time of each flip in the trace: {path}"


def _read_trace(path: Path) -> NDArray[np.float64]:
    try:
        values = np.load(path) if path.suffix == ".npy" else np.loadtxt(path)
        return np.asarray(values, float).reshape(max(np.shape(values), default=1))
    except (OSError, ValueError) as error:
        raise Refused(f"{path} is not a trace ({error}); use {_TRACE_FORMATS}") from error
