"""Writes a ScanImage BigTIFF page by page, as the simulated microscope does."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from acquisition.scanimage import (
    FIRST_LINK_AT,
    LINK,
    PAGE_TAGS_BYTES,
    PREAMBLE_BYTES,
    Preamble,
    pack_page_tags,
    pack_preamble,
)

Link = Literal["pre", "post"]
_FIELD_DEGREES = 9.0


class Writer:
    """One growing file of one region, one plane and one channel.

    With link "pre" each page already holds the offset where the next one will be, with "post" that
    offset is put in once the next page is there. ScanImage's files have been seen in both states.
    """

    def __init__(
        self, path: Path, shape: tuple[int, int], rate_hz: float, began: datetime, link: Link
    ) -> None:
        """Make the file; shape is (height_px, width_px). Raises OSError."""
        self._shape, self._began, self._link = shape, began, link
        self._pages = 0
        static = _static(shape, rate_hz).encode() + b"\0"
        regions = json.dumps(_regions(shape), indent=2).encode() + b"\0"
        self._preamble = Preamble(len(static), len(regions))
        self._next = _aligned(PREAMBLE_BYTES + len(static) + len(regions))
        self._link_at = FIRST_LINK_AT
        # Unbuffered: a page is on disk for every reader as soon as append returns.
        self._file = path.open("xb", buffering=0)
        head = pack_preamble(static, regions, self._next if link == "pre" else 0)
        self._put(0, (head + static + regions).ljust(self._next, b"\0"))

    def append(self, pixels: NDArray[np.int16], timestamp_s: float) -> None:
        """Write one page. Raises ValueError if the pixels have another shape than the file."""
        if pixels.shape != self._shape:
            raise ValueError(f"a frame of {pixels.shape} px in a file of {self._shape} px")
        at = self._next
        text = _description(self._pages + 1, timestamp_s, self._began).encode() + b"\0"
        text = text.ljust(_aligned(PAGE_TAGS_BYTES + len(text)) - PAGE_TAGS_BYTES, b"\0")
        raw = pixels.astype("<i2").tobytes()
        end = _aligned(at + PAGE_TAGS_BYTES + len(text) + len(raw))
        link = end if self._link == "pre" else 0
        tags = pack_page_tags(self._shape, self._preamble, at, len(text), link)
        self._put(at, (tags + text + raw).ljust(end - at, b"\0"))
        if self._link == "post":
            self._put(self._link_at, LINK.pack(at))
        self._link_at = at + PAGE_TAGS_BYTES - LINK.size
        self._next = end
        self._pages += 1

    def close(self) -> None:
        """Finish the file: the last page points nowhere."""
        if self._link == "pre":
            self._put(self._link_at, LINK.pack(0))
        self._file.close()

    def _put(self, offset: int, raw: bytes) -> None:
        self._file.seek(offset)
        left = memoryview(raw)
        while left:  # on a full disk the first write is short, and the next one raises
            left = left[self._file.write(left) :]


def _aligned(offset: int) -> int:
    return -(-offset // 8) * 8


def _static(shape: tuple[int, int], rate_hz: float) -> str:
    height, width = shape
    period_s = 1.0 / rate_hz
    facts: dict[str, Any] = {
        "SI.LINE_FORMAT_VERSION": 1,
        "SI.TIFF_FORMAT_VERSION": 4,
        "SI.VERSION_MAJOR": "'2020'",
        "SI.VERSION_MINOR": "'1'",
        "SI.acqState": "'grab'",
        "SI.acqsPerLoop": 1,
        "SI.hChannels.channelSave": 1,
        "SI.hChannels.channelsActive": 1,
        "SI.hFastZ.enable": "false",
        "SI.hRoiManager.imagingFovUm": "[-675 -675;675 -675;675 675;-675 675]",
        "SI.hRoiManager.linePeriod": period_s / height,
        "SI.hRoiManager.linesPerFrame": height,
        "SI.hRoiManager.mroiEnable": "false",
        "SI.hRoiManager.pixelsPerLine": width,
        "SI.hRoiManager.scanFramePeriod": period_s,
        "SI.hRoiManager.scanFrameRate": rate_hz,
        "SI.hRoiManager.scanVolumeRate": rate_hz,
        "SI.hScan2D.flybackTimePerFrame": 0,
        "SI.hScan2D.flytoTimePerScanfield": 0,
        "SI.hScan2D.logFramesPerFile": "Inf",
        "SI.hStackManager.framesPerSlice": "Inf",
        "SI.hStackManager.numSlices": 1,
        "SI.objectiveResolution": 150,
    }
    return "\n".join(f"{key} = {value}" for key, value in facts.items())


def _regions(shape: tuple[int, int]) -> dict[str, Any]:
    """The RoiGroups of one square region; ScanImage writes a lone region not as a list."""
    height, width = shape
    size, edge = _FIELD_DEGREES, -_FIELD_DEGREES / 2
    scanfield = {
        "ver": 1,
        "classname": "scanimage.mroi.scanfield.fields.RotatedRectangle",
        "name": "",
        "centerXY": [0, 0],
        "sizeXY": [size, size],
        "rotationDegrees": 0,
        "enable": 1,
        "pixelResolutionXY": [width, height],
        "pixelToRefTransform": [[size / width, 0, edge], [0, size / height, edge], [0, 0, 1]],
        "affine": [[size, 0, edge], [0, size, edge], [0, 0, 1]],
    }
    region = {
        "ver": 1,
        "classname": "scanimage.mroi.Roi",
        "name": "field",
        "zs": 0,
        "scanfields": scanfield,
        "discretePlaneMode": 0,
        "enable": 1,
    }
    group = {"ver": 1, "classname": "scanimage.mroi.RoiGroup", "name": "imaging", "rois": region}
    return {"RoiGroups": {"imagingRoiGroup": group, "photostimRoiGroups": None}}


def _description(number: int, timestamp_s: float, began: datetime) -> str:
    seconds = began.second + began.microsecond / 1e6
    epoch = f"{began:%Y %m %d %H %M} {seconds:.3f}"
    lines = [
        f"frameNumbers = {number}",
        "acquisitionNumbers = 1",
        f"frameNumberAcquisition = {number}",
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
