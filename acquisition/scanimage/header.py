"""Read the settings of a recording from the static metadata of ScanImage 3.8 to 2023.

The versions have different names for the same setting: `state.acq.zoomFactor=4` (3.8, where lines
end in carriage returns), `scanimage.SI4.scanZoomFactor = 4` (4), `scanimage.SI5.` (5.0),
`SI.hRoiManager.scanZoomFactor = 4` (5.1, called 2015, and later). Values are MATLAB literals.
"""

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from acquisition.scanimage.header_text import read_settings
from acquisition.scanimage.matlab_literals import Value
from acquisition.scanimage.preamble import NotScanImage
from acquisition.scanimage.stack_settings import read_stack

_SCANNERS = ("hScan2D", "hResScan", "hLinScan")
"""Names of the active scanner: hScan2D since 2016; before, each kind had its own name."""
_MAX_COUNT = 10_000
_UNKNOWN = (
    "has a header without any known setting of ScanImage (VERSION_MAJOR, channelSave, "
    "scanFrameRate); the depth of a page is ambiguous"
)


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a recording; None or empty where the header does not give them."""

    version: str = ""
    frame_rate_hz: float | None = None
    """Number of scanned frames per second; `averaged` of them are averaged into a saved frame."""
    volume_rate_hz: float | None = None
    line_period_s: float | None = None
    fly_to_s: float | None = None
    """Time that the mirrors take from one region to the next, s."""
    multi_region: bool = False
    channels: tuple[int, ...] = ()
    """The saved channels; a frame is one page per channel."""
    zs_um: tuple[tuple[float, ...], ...] = ()
    """The depths of each slice of a volume; several if a slice scans them simultaneously."""
    frames_per_slice: int = 1
    """Number of frames scanned of each slice before the next slice; 1 if there is one slice."""
    flyback_frames: int = 0
    """Number of frames at the end of a volume, scanned while the focus returns to the start."""
    averaged: int = 1
    """Number of scanned frames that are averaged into one saved frame."""
    unclear: str = ""
    """Why this header does not determine the depth of a page; "" if it does."""
    laser_gated: bool = False
    """True if each saved channel shows the pulses of another beam, and so another depth."""
    bidirectional: bool | None = None
    um_per_degree: float | None = None
    power_percent: tuple[float, ...] = ()
    """Power of each laser beam, percent."""
    pmt_gains: tuple[float, ...] = ()
    zoom: float | None = None
    objective_um: tuple[float, ...] = ()
    """Position of the motors, um: x, y, z."""
    fast_z_um: float | None = None

    @property
    def slices(self) -> int:
        """Number of slices of a volume."""
        return max(1, len(self.zs_um))

    @property
    def depths_per_frame(self) -> int:
        """Number of depths that a frame shows: one per channel if they are scanned together."""
        depths = {len(zs) for zs in self.zs_um}
        return len(self.channels) if self.laser_gated and depths == {len(self.channels)} else 1

    @property
    def depths_um(self) -> tuple[float, ...]:
        """The depth of each plane, um, ordered by slice and then by channel."""
        return tuple(z for zs in self.zs_um for z in zs[: self.depths_per_frame]) or (0.0,)

    @property
    def plane_rate_hz(self) -> float | None:
        """Number of pages of each plane per second."""
        if self.volume_rate_hz is None:
            return None
        return self.volume_rate_hz * self.frames_per_slice / self.averaged

    @property
    def fly_to_lines(self) -> int | None:
        """Number of lines scanned while the mirrors move from one region to the next."""
        if not self.line_period_s or self.fly_to_s is None:
            return None
        return round(self.fly_to_s / self.line_period_s)


@lru_cache(maxsize=2)
def parse_header(text: str) -> Header:
    """Return the settings in the static metadata of any version.

    The results for the last texts are cached, so that a header of 23 MB is read once per series.
    """
    try:
        settings = read_settings(text)
    except NotScanImage as problem:
        return Header(unclear=str(problem))
    channels = _channels(settings)
    rate_hz = _positive(
        settings, "hRoiManager.scanFrameRate", "scanFrameRate", "state.acq.frameRate"
    )
    volume_hz = _positive(settings, "hRoiManager.scanVolumeRate")
    averaged = max(1, _count(settings, 1, *_of_scanner(settings, "logAverageFactor")))
    version = _version(settings)
    stack = read_stack(settings, averaged, rate_hz, volume_hz)
    unclear = stack.unclear
    if text.strip() and not (version or channels or rate_hz or stack.zs_um or unclear):
        unclear = _UNKNOWN
    if rate_hz and (volume_hz is None or abs(rate_hz / volume_hz - stack.frames) > 0.5):
        volume_hz = rate_hz / stack.frames
    return Header(
        version=version,
        frame_rate_hz=rate_hz,
        volume_rate_hz=volume_hz,
        line_period_s=_positive(settings, "hRoiManager.linePeriod", "linePeriod"),
        fly_to_s=_number(settings, *_of_scanner(settings, "flytoTimePerScanfield")),
        multi_region=bool(_number(settings, "hRoiManager.mroiEnable")),
        channels=channels,
        zs_um=stack.zs_um,
        frames_per_slice=stack.frames_per_slice,
        flyback_frames=stack.flyback_frames,
        averaged=averaged,
        unclear=unclear,
        laser_gated=_laser_gated(settings, channels),
        bidirectional=_flag(settings, *_of_scanner(settings, "bidirectional")),
        um_per_degree=_positive(settings, "objectiveResolution"),
        power_percent=_numbers(settings, "hBeams.powers", "beamPowers", "state.init.eom.maxPower"),
        pmt_gains=_numbers(settings, "hPmts.gains"),
        zoom=_positive(
            settings, "hRoiManager.scanZoomFactor", "scanZoomFactor", "state.acq.zoomFactor"
        ),
        objective_um=_numbers(
            settings, "hMotors.samplePosition", "hMotors.motorPosition", "motorPosition"
        )
        or _motors_of_version_3(settings),
        fast_z_um=_number(settings, "hFastZ.position", "hFastZ.positionTarget", "fastZPosition"),
    )


def differences(now: Header, before: Header) -> tuple[str, ...]:
    """Return the settings that differ between two recordings, one phrase for each setting."""
    changes = []
    for key, what in _COMPARED.items():
        new, old = getattr(now, key), getattr(before, key)
        if new != old:
            changes.append(f"{what} {_formatted(new)}, last session {_formatted(old)}")
    return tuple(changes)


_COMPARED = {
    "version": "ScanImage",
    "frame_rate_hz": "frame rate (Hz)",
    "multi_region": "multiple regions",
    "channels": "channels saved",
    "zs_um": "depths (um)",
    "frames_per_slice": "frames per slice",
    "flyback_frames": "fly-back frames",
    "averaged": "frames averaged",
    "um_per_degree": "um per degree",
    "power_percent": "laser power (%)",
    "pmt_gains": "PMT gains",
    "zoom": "zoom",
}
"""Names of the compared settings: those that differ only if someone changed them. Motor positions
are not compared, as they differ between mice."""


def _formatted(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " ".join(_formatted(v) for v in value) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return "unknown" if value in (None, "") else str(value)


def _number(settings: Mapping[str, Value], *keys: str) -> float | None:
    """Return the value of the first of these keys that is a finite number."""
    found = [settings.get(key) for key in keys]
    return next((v for v in found if isinstance(v, float) and math.isfinite(v)), None)


def _positive(settings: Mapping[str, Value], *keys: str) -> float | None:
    value = _number(settings, *keys)
    return value if value is not None and value > 0 else None


def _count(settings: Mapping[str, Value], default: int, *keys: str) -> int:
    value = _number(settings, *keys)
    return int(value) if value is not None and 0 <= value < _MAX_COUNT else default


def _flag(settings: Mapping[str, Value], *keys: str) -> bool | None:
    value = _number(settings, *keys)
    return None if value is None else bool(value)


def _numbers(settings: Mapping[str, Value], *keys: str) -> tuple[float, ...]:
    """Return the value of the first of these keys that is a finite number or a row of them."""
    for key in keys:
        value = settings.get(key, ())
        row = value if isinstance(value, tuple) else (value,)
        numbers = [v for v in row if isinstance(v, float) and math.isfinite(v)]
        if numbers and len(numbers) == len(row):
            return tuple(numbers)
    return ()


def _of_scanner(settings: Mapping[str, Value], key: str) -> tuple[str, ...]:
    """Return the keys that the active scanner may use for a setting, most likely first."""
    linear = str(settings.get("imagingSystem", "")).lower().startswith("lin")
    return tuple(f"{part}.{key}" for part in (_SCANNERS[::-1] if linear else _SCANNERS))


def _version(settings: Mapping[str, Value]) -> str:
    keys = ("VERSION_MAJOR", "VERSION_MINOR", "VERSION_UPDATE")
    parts = [settings[key] for key in keys if key in settings]
    parts = parts or [settings[k] for k in ("versionMajor", "versionMinor") if k in settings]
    parts = parts or [settings[k] for k in ("state.software.version",) if k in settings]
    return ".".join(_formatted(part) for part in parts)


def _channels(settings: Mapping[str, Value]) -> tuple[int, ...]:
    saved = _numbers(settings, "hChannels.channelSave", "channelsSave")
    if not saved:
        flags = [_number(settings, f"state.acq.savingChannel{i}") for i in (1, 2, 3, 4)]
        return tuple(i for i, flag in enumerate(flags, 1) if flag)
    return tuple(int(channel) for channel in saved)


def _laser_gated(settings: Mapping[str, Value], channels: tuple[int, ...]) -> bool:
    """Return True if the time windows of channels separate the pulses of several beams."""
    keys = [f"hScan2D.virtualChannelSettings__{channel}" for channel in channels]
    windows = [settings.get(f"{key}.laserFilterWindow") for key in keys]
    gates = [_number(settings, f"{key}.laserGate") for key in keys]
    return len(channels) > 1 and all(gates) and len(set(windows)) == len(channels)


def _motors_of_version_3(settings: Mapping[str, Value]) -> tuple[float, ...]:
    at = [_number(settings, f"state.motor.abs{axis}Position") for axis in "XYZ"]
    return tuple(v for v in at if v is not None) if None not in at else ()
