"""Read how a fast stack is scanned (slices, frames per slice, fly-back) from the header's settings.

ScanImage writes the same setting under several keys, which depend on the version. They must agree;
otherwise the depth of a page is ambiguous, and `Stack.unclear` is the reason.
"""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

from acquisition.scanimage.matlab_literals import Value

Rows = tuple[tuple[float, ...], ...]
"""A row of depths (um) for each slice or frame, with one depth for each actuator or beam."""

_MAX_SLICES = 10_000
_RATE_TOLERANCE_FRAMES = 0.25
"""Largest difference of scanFrameRate / scanVolumeRate from a whole number of frames."""


class Stack(NamedTuple):
    """The slices of a volume and the number of frames of each."""

    zs_um: Rows = ()
    """A row of depths for each slice; () if the header does not give them."""
    frames_per_slice: int = 1
    flyback_frames: int = 0
    unclear: str = ""
    """Why the depth of a page is ambiguous; "" if it is not."""

    @property
    def frames(self) -> int:
        """Number of frames of a volume, including fly-back."""
        return max(1, len(self.zs_um)) * self.frames_per_slice + self.flyback_frames

    @property
    def one_plane(self) -> bool:
        """True if every frame shows the same slice."""
        return len(self.zs_um) <= 1 and not self.flyback_frames


def read_stack(
    settings: Mapping[str, Value],
    averaged: int,
    frame_rate_hz: float | None,
    volume_rate_hz: float | None,
) -> Stack:
    """Return the stack that a header describes.

    Args:
        settings: The header's settings, by key without the prefix "SI.".
        averaged: Number of scanned frames that are averaged into one saved frame.
        frame_rate_hz: scanFrameRate, if the header has it.
        volume_rate_hz: scanVolumeRate, if the header has it.
    """
    rows = depth_rows(settings)
    if not _is_fast(settings):
        unclear = _slow_stack(settings, rows) or _off(settings, rows, frame_rate_hz, volume_rate_hz)
        return Stack(rows if len(rows) == 1 else (), unclear=unclear)
    stack = _fast_stack(settings, rows)
    if stack.unclear:
        return stack
    unclear = (
        _averaging(stack, averaged)
        or _rates(stack, frame_rate_hz, volume_rate_hz)
        or _enabled(settings, stack, frame_rate_hz, volume_rate_hz)
    )
    if stack.one_plane:
        stack = stack._replace(frames_per_slice=1)
    return stack._replace(unclear=unclear)


def depth_rows(settings: Mapping[str, Value]) -> Rows:
    """Return the depths in the order of the scan; () if there are none or they are not numbers.

    `zsAllActuators` has a row for each frame and a column for each actuator. These literals do not
    distinguish columns from rows, so `[195 105]` may be one frame with two actuators or two frames
    with one. `zs` has one number per frame and shows which it is.
    """
    one_each = settings.get("hStackManager.zs", settings.get("hFastZ.userZs", ()))
    value = settings.get("hStackManager.zsAllActuators", ())
    if value == () or isinstance(value, str):
        value = one_each
    elif isinstance(one_each, float):
        value = (value,)  # a single frame, with one or several actuators
    frames = value if isinstance(value, tuple) else (value,)
    if len(frames) > _MAX_SLICES:
        return ()
    rows = tuple(row if isinstance(row, tuple) else (row,) for row in frames)
    depths = tuple(
        tuple(z for z in row if isinstance(z, float) and math.isfinite(z)) for row in rows
    )
    return depths if depths == rows else ()


def _is_fast(settings: Mapping[str, Value]) -> bool:
    """Return True if the focus moves from frame to frame, by the keys of any version."""
    if _number(settings, "hFastZ.enable", "fastZEnable"):
        return True
    enabled = _number(settings, "hStackManager.enable")
    return bool(enabled) and settings.get("hStackManager.stackMode") == "fast"


def _slow_stack(settings: Mapping[str, Value], rows: Rows) -> str:
    """Return the error for a slow stack; "" if it is not a slow stack."""
    enabled = _number(settings, "hStackManager.enable")
    if enabled is None:  # before 2019 more than one slice made a slow stack
        slices = _count(settings, "hStackManager.numSlices")
        slow = slices is not None and slices == len(rows) > 1
    else:
        slices = _count(settings, "hStackManager.actualNumSlices") or len(rows)
        slow = bool(enabled) and slices > 1
    if not slow:
        return ""
    return f"is a slow stack of {slices} slices, which is not a time series; record a fast stack"


def _off(
    settings: Mapping[str, Value],
    rows: Rows,
    frame_rate_hz: float | None,
    volume_rate_hz: float | None,
) -> str:
    """Return the error for a stack that is off although the rates are those of its volumes."""
    stack = _fast_stack(settings, rows)
    if stack.unclear or stack.one_plane or not frame_rate_hz or not volume_rate_hz:
        return ""
    frames = frame_rate_hz / volume_rate_hz
    if abs(frames - stack.frames) > _RATE_TOLERANCE_FRAMES:
        return ""
    return (
        f"has a stack of {len(stack.zs_um)} slices that is off (hStackManager.enable, "
        f"hFastZ.enable) and {frames:.2f} frames a volume by its rates (scanFrameRate / "
        "scanVolumeRate), as if it were on; the depth of a page is ambiguous"
    )


def _fast_stack(settings: Mapping[str, Value], rows: Rows) -> Stack:
    """Combine the settings of slices, frames and fly-back."""
    said_slices = _count(settings, "hStackManager.actualNumSlices") or None
    said_frames = _count(settings, "hStackManager.framesPerSlice") or None
    in_volume = _count(settings, "hStackManager.numFramesPerVolume") or None
    if not rows:  # depths were not written before 5.0
        old = _count(settings, "stackNumSlices", "hStackManager.numSlices") or 0
        rows = ((0.0,),) * (said_slices or old)
    if said_slices is None and in_volume is None:
        # Before 2019 there is one frame per slice, unless depths are repeated.
        frames = said_frames if said_frames and _in_runs(rows, said_frames) else 1
        slices = max(1, len(rows)) // frames
    else:
        slices, frames = _settled(len(rows), said_slices, said_frames, in_volume)
    shape = f"{slices} slices (actualNumSlices) of {frames} frames (framesPerSlice)"
    if slices * frames != (in_volume or slices * frames):
        return Stack(
            unclear=f"has {shape}, and {in_volume} frames a volume (numFramesPerVolume); "
            "the depth of a page is ambiguous"
        )
    if len(rows) == slices * frames and _in_runs(rows, frames):
        rows = rows[::frames]
    elif len(rows) not in (0, slices):
        return Stack(
            unclear=f"has {shape}, and {len(rows)} depths (zs) that do not fit them; "
            "the depth of a page is ambiguous"
        )
    flyback, unclear = _flyback(settings, slices * frames)
    return Stack(rows or ((0.0,),) * slices, frames, flyback, unclear)


def _settled(
    depths: int, slices: int | None, frames: int | None, in_volume: int | None
) -> tuple[int, int]:
    """Return the number of slices and of frames per slice; one may follow from other values."""
    total = in_volume or depths or 1
    if slices is None:
        return max(1, total // (frames or 1)), frames or 1
    if frames is None:
        return slices, max(1, total // slices)
    return slices, frames


def _in_runs(rows: Rows, length: int) -> bool:
    """Return True if each depth is repeated `length` times in a row."""
    if len(rows) % length:
        return False
    return all(a == b for i, (a, b) in enumerate(pairwise(rows), 1) if i % length)


def _flyback(settings: Mapping[str, Value], in_volume: int) -> tuple[int, str]:
    """Return the number of fly-back frames of a volume, and why it is ambiguous, or ""."""
    whole = _count(settings, "hStackManager.numFramesPerVolumeWithFlyback")
    if whole is None:  # until 2018 this key included fly-back frames
        whole = _count(settings, "hFastZ.numFramesPerVolume")
    discarded = _count(settings, "hFastZ.numDiscardFlybackFrames", "fastZNumDiscardFrames") or 0
    flyback = discarded if whole is None else whole - in_volume
    if flyback < 0 or (discarded and discarded != flyback):
        return 0, (
            f"has {in_volume} frames a volume, {whole} with fly-back "
            f"(numFramesPerVolumeWithFlyback) and {discarded} fly-back frames "
            "(numDiscardFlybackFrames); the depth of a page is ambiguous"
        )
    return flyback, ""


def _averaging(stack: Stack, averaged: int) -> str:
    """Return the error for averaging over several slices; "" if a frame averages only one slice."""
    if stack.one_plane or stack.frames_per_slice % max(1, averaged) == 0:
        return ""
    return (
        f"averages {averaged} frames (logAverageFactor) and scans {stack.frames_per_slice} of each "
        "slice (framesPerSlice), so that a page mixes depths; average a number that divides "
        "framesPerSlice"
    )


def _rates(stack: Stack, frame_rate_hz: float | None, volume_rate_hz: float | None) -> str:
    """Return the error if the rates imply another number of frames per volume; "" if they agree.

    If both rates are equal, they are not used as evidence.
    """
    if not frame_rate_hz or not volume_rate_hz:
        return ""
    frames = frame_rate_hz / volume_rate_hz
    if any(abs(frames - fitting) <= _RATE_TOLERANCE_FRAMES for fitting in (1.0, stack.frames)):
        return ""
    return (
        f"has {stack.frames} frames a volume by its slices, and {frames:.2f} by its rates "
        "(scanFrameRate / scanVolumeRate); the depth of a page is ambiguous"
    )


def _enabled(
    settings: Mapping[str, Value],
    stack: Stack,
    frame_rate_hz: float | None,
    volume_rate_hz: float | None,
) -> str:
    """Return the sentence for a stack that is switched off while the focus device is on.

    The list of depths may then be left over from an earlier stack: the volume rate decides it.
    """
    off = settings.get("hStackManager.enable") is not None and not _number(
        settings, "hStackManager.enable"
    )
    is_volume_rate = bool(frame_rate_hz and volume_rate_hz and frame_rate_hz != volume_rate_hz)
    if stack.one_plane or not off or is_volume_rate:
        return ""
    return (
        f"has a stack of {len(stack.zs_um)} slices that is off (hStackManager.enable) while the "
        "focus device is on (hFastZ.enable), and a volume rate that does not show which of them "
        "is right; the depth of a page is ambiguous"
    )


def _number(settings: Mapping[str, Value], *keys: str) -> float | None:
    """Return the value of the first of these keys that is a finite number."""
    found = [settings.get(key) for key in keys]
    return next((v for v in found if isinstance(v, float) and math.isfinite(v)), None)


def _count(settings: Mapping[str, Value], *keys: str) -> int | None:
    """Return the value of the first of these keys that is a number, if it can be a frame count."""
    value = _number(settings, *keys)
    return int(value) if value is not None and 0 <= value < _MAX_SLICES else None
