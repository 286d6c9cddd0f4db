"""Encode the bytes and texts of a ScanImage BigTIFF, as the simulated microscope writes them."""

import json
import struct
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from acquisition.scanimage.matlab_literals import Value, literal
from acquisition.scanimage.preamble import LINK, MAGIC, PREAMBLE, PREAMBLE_BYTES, TAG, Preamble
from acquisition.scanimage.regions import Field, Region

_WRITTEN_TAGS = 18
PAGE_TAGS_BYTES = LINK.size + _WRITTEN_TAGS * TAG.size + LINK.size
"""Size of the result of `pack_page_tags`, bytes."""
_FIELD_DEGREES = 9.0
_FIELD_UM = ((-675.0, -675.0), (675.0, -675.0), (675.0, 675.0), (-675.0, 675.0))


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a recording; each saved frame has one page of `shape` per channel."""

    shape: tuple[int, int]
    """Size of a page, (height_px, width_px)."""
    rate_hz: float
    """Number of frames scanned per second."""
    regions: tuple[Region, ...] = ()
    """If empty, one square field is scanned."""
    zs_um: tuple[float, ...] = (0.0,)
    channels: tuple[int, ...] = (1,)
    frames_per_slice: int = 1
    flyback_frames: int = 0
    """Number of frames scanned at the end of each volume while the focus returns."""
    averaged: int = 1
    """Number of scanned frames that are averaged into one saved frame."""
    fly_to_lines: int = 0
    facts: dict[str, Value] = {}
    """Further static metadata, such as {"SI.hBeams.powers": 28.0}."""

    def static(self) -> str:
        """Return the static metadata as text."""
        facts = {**_facts(self), **self.facts}
        return "\n".join(f"{key} = {literal(value)}" for key, value in facts.items())

    def groups(self) -> str:
        """Return the RoiGroups as text."""
        return json.dumps(_groups(self.regions or (_square(self.shape),)), indent=2)


def pack_preamble(static: bytes, regions: bytes, first: int) -> bytes:
    """Return the first 32 bytes of a file; `first` is the offset of the first page, or 0."""
    return PREAMBLE.pack(b"II", 43, 8, 0, first, MAGIC, 4, len(static), len(regions))


def pack_page_tags(
    shape: tuple[int, int], preamble: Preamble, at: int, description_bytes: int, link: int
) -> bytes:
    """Return the tags of an int16 page that begins at byte `at`.

    The description follows the tags, and the pixels follow the description.

    Args:
        shape: Size of the page, (height_px, width_px).
        preamble: The sizes of the blocks before the pages.
        at: Offset of the page.
        description_bytes: Size of the description.
        link: Offset of the next page, or 0.
    """
    height, width = shape
    text_at = at + PAGE_TAGS_BYTES
    per_inch = LINK.unpack(struct.pack("<II", 72, 1))[0]
    tags = (
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 16),  # bits a pixel
        (259, 3, 1, 1),  # not compressed
        (262, 3, 1, 1),  # photometric interpretation: black is zero
        (270, 2, description_bytes, text_at),
        (273, 16, 1, text_at + description_bytes),  # where the pixels are
        (274, 3, 1, 1),  # orientation: first row on top
        (277, 3, 1, 1),  # one sample a pixel
        (278, 4, 1, height),  # all rows in one strip
        (279, 16, 1, height * width * 2),  # bytes of pixels
        (282, 5, 1, per_inch),
        (283, 5, 1, per_inch),
        (284, 3, 1, 1),  # planar configuration: chunky
        (296, 3, 1, 2),  # the resolution above is per inch
        (305, 2, preamble.static_bytes, PREAMBLE_BYTES),
        (315, 2, preamble.regions_bytes, PREAMBLE_BYTES + preamble.static_bytes),
        (339, 3, 1, 2),  # signed integers
    )
    packed = b"".join(TAG.pack(*tag[:3], LINK.pack(tag[3])) for tag in tags)
    return LINK.pack(len(tags)) + packed + LINK.pack(link)


def describe(
    number: int,
    timestamp_s: float,
    began: datetime,
    acquisition: int = 1,
    number_in_acquisition: int | None = None,
) -> str:
    """Return the description of a page of frame `number`.

    number_in_acquisition counts from 1 in each acquisition of a LOOP; by default there is only one.
    """
    in_acquisition = number if number_in_acquisition is None else number_in_acquisition
    seconds = began.second + began.microsecond / 1e6
    epoch = f"{began:%Y %m %d %H %M} {seconds:.3f}"
    lines = [
        f"frameNumbers = {number}",
        f"acquisitionNumbers = {acquisition}",
        f"frameNumberAcquisition = {in_acquisition}",
        f"frameTimestamps_sec = {timestamp_s:.9f}",
        "acqTriggerTimestamps_sec = -0.000087000",
        "nextFileMarkerTimestamps_sec = -1.000000000",
        "endOfAcquisition = 0",
        "endOfAcquisitionMode = 0",
        "dcOverVoltage = 0",
        f"epoch = [{epoch}]",
        *(f"auxTrigger{i} = []" for i in range(4)),
        "I2CData = {}",
    ]
    return "\n".join(lines)


def _facts(recording: Recording) -> dict[str, Value]:
    height, width = recording.shape
    period_s = 1.0 / recording.rate_hz
    slices, several = len(recording.zs_um), len(recording.regions) > 1
    frames = slices * recording.frames_per_slice
    with_flyback = frames + recording.flyback_frames
    stack = with_flyback > 1
    zs_um = tuple(z for z in recording.zs_um for _ in range(recording.frames_per_slice))
    channels = tuple(float(channel) for channel in recording.channels)
    fly_to_s = recording.fly_to_lines * period_s / height
    return {
        "SI.LINE_FORMAT_VERSION": 1.0,
        "SI.TIFF_FORMAT_VERSION": 4.0,
        "SI.VERSION_MAJOR": "2020",
        "SI.VERSION_MINOR": "1",
        "SI.acqState": "grab",
        "SI.acqsPerLoop": 1.0,
        "SI.hBeams.powers": 30.0,
        "SI.hChannels.channelSave": channels if len(channels) > 1 else channels[0],
        "SI.hChannels.channelsActive": channels if len(channels) > 1 else channels[0],
        "SI.hFastZ.enable": stack,
        "SI.hFastZ.numDiscardFlybackFrames": float(recording.flyback_frames),
        "SI.hFastZ.position": recording.zs_um[0],
        "SI.hMotors.samplePosition": (0.0, 0.0, 0.0),
        "SI.hPmts.gains": 600.0,
        "SI.hRoiManager.imagingFovUm": _FIELD_UM,
        "SI.hRoiManager.linePeriod": period_s / height,
        "SI.hRoiManager.linesPerFrame": float(height),
        "SI.hRoiManager.mroiEnable": several,
        "SI.hRoiManager.pixelsPerLine": float(width),
        "SI.hRoiManager.scanFramePeriod": period_s,
        "SI.hRoiManager.scanFrameRate": recording.rate_hz,
        "SI.hRoiManager.scanVolumeRate": recording.rate_hz / with_flyback,
        "SI.hRoiManager.scanZoomFactor": 1.0,
        "SI.hScan2D.flybackTimePerFrame": 0.0,
        "SI.hScan2D.flytoTimePerScanfield": fly_to_s,
        "SI.hScan2D.logAverageFactor": float(recording.averaged),
        "SI.hScan2D.logFramesPerFile": float("inf"),
        "SI.hStackManager.actualNumSlices": float(slices),
        "SI.hStackManager.enable": stack,
        "SI.hStackManager.framesPerSlice": (
            float(recording.frames_per_slice) if stack else float("inf")
        ),
        "SI.hStackManager.numFramesPerVolume": float(frames),
        "SI.hStackManager.numFramesPerVolumeWithFlyback": float(with_flyback),
        "SI.hStackManager.numSlices": float(slices),
        "SI.hStackManager.stackMode": "fast",
        "SI.hStackManager.zs": zs_um if frames > 1 else zs_um[0],
        "SI.objectiveResolution": 150.0,
    }


def _square(shape: tuple[int, int]) -> Region:
    size = (_FIELD_DEGREES, _FIELD_DEGREES)
    return Region("field", (Field(0.0, (0.0, 0.0), size, (shape[1], shape[0])),))


def _groups(regions: Sequence[Region]) -> dict[str, Any]:
    rois = [_roi(region) for region in regions]
    group = {
        "ver": 1,
        "classname": "scanimage.mroi.RoiGroup",
        "name": "imaging",
        "rois": _unlisted(rois),
    }
    return {"RoiGroups": {"imagingRoiGroup": group, "photostimRoiGroups": None}}


def _unlisted(values: list[Any]) -> Any:
    """Return the only value of a list with one value, as ScanImage writes it, or else the list."""
    return values[0] if len(values) == 1 else values


def _roi(region: Region) -> dict[str, Any]:
    return {
        "ver": 1,
        "classname": "scanimage.mroi.Roi",
        "name": region.name,
        "zs": _unlisted([field.z_um for field in region.fields]),
        "scanfields": _unlisted([_scanfield(field) for field in region.fields]),
        "discretePlaneMode": int(region.discrete),
        "enable": 1,
    }


def _scanfield(field: Field) -> dict[str, Any]:
    (x, y), (size_x, size_y), (width, height) = field.centre_deg, field.size_deg, field.px
    left, top = x - size_x / 2, y - size_y / 2
    return {
        "ver": 1,
        "classname": "scanimage.mroi.scanfield.fields.RotatedRectangle",
        "name": "",
        "centerXY": [x, y],
        "sizeXY": [size_x, size_y],
        "rotationDegrees": 0,
        "enable": 1,
        "pixelResolutionXY": [width, height],
        "pixelToRefTransform": [[size_x / width, 0, left], [0, size_y / height, top], [0, 0, 1]],
        "affine": [[size_x, 0, left], [0, size_y, top], [0, 0, 1]],
    }
