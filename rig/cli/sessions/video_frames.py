"""Compare the number of frames in a camera's video with the exposures that were counted."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from rig.errors import Refused
from rig.messages import Exposures
from rig.transport.log import LOG_FILE, read

_BOXES = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
"""The boxes of an MP4 that contain the table of a track's samples."""


def exposures(folder: Path) -> dict[str, int]:
    """Return the number of exposures of each camera at the end of a session."""
    return {m.camera: m.count for _, m in read(folder / LOG_FILE) if isinstance(m, Exposures)}


def compared(folder: Path, videos: list[str]) -> Iterator[tuple[str, bool]]:
    """Compare videos with the exposures of a session.

    Args:
        folder: The session folder.
        videos: "NAME=FILE" for each camera whose video is compared.

    Yields:
        A sentence for each camera, and whether its numbers agree.

    Raises:
        Refused: A camera is unknown, or the frames of a file cannot be counted.
    """
    counted = exposures(folder)
    files = dict(_named(text) for text in videos)
    for name in files:
        if name not in counted:
            known = ", ".join(counted) or "none"
            raise Refused(
                f"--video {name}: the session has no camera of that name; choose one of {known}"
            )
    for name, count in counted.items():
        if name not in files:
            yield f"camera {name}: {count} exposures; compare its video: --video {name}=FILE", True
            continue
        frames = frames_in(files[name])
        same = "equal" if frames == count else f"{abs(frames - count)} differ"
        yield (
            f"camera {name}: {count} exposures, {frames} frames in the video: {same}",
            (frames == count),
        )


def frames_in(path: Path) -> int:
    """Return the number of frames of an .mp4, .mov or .avi, or of lines of a .txt or .csv.

    Recording programs write a text file of timestamps, one line per frame.

    Raises:
        Refused: The file cannot be read, or its frames cannot be counted.
    """
    try:
        match path.suffix.lower():
            case ".txt" | ".csv":
                return sum(1 for line in path.read_text("utf-8").splitlines() if line.strip())
            case ".mp4" | ".mov" | ".avi":
                with path.open("rb") as file:
                    size = path.stat().st_size
                    read_frames = _avi if path.suffix.lower() == ".avi" else _mp4
                    counts = list(read_frames(file, size))
                if counts:
                    return max(counts)
    except (OSError, ValueError, struct.error) as error:
        raise Refused(f"{path} cannot be read ({error}); check the path") from error
    raise Refused(
        f"{path}: its frames cannot be counted; use a complete .mp4, .mov or .avi, or a .txt or "
        ".csv with one line per frame"
    )


def _named(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not equals:
        raise Refused(f"--video {text}: use NAME=FILE, for example face=face.mp4")
    return name, Path(path)


def _mp4(file: BinaryIO, end: int) -> Iterator[int]:
    """Yield the number of samples of each track (ISO 14496-12), assuming that there is no sound."""
    while file.tell() + 8 <= end:
        begin = file.tell()
        size, kind = struct.unpack(">I4s", file.read(8))
        if size == 1:
            (size,) = struct.unpack(">Q", file.read(8))
        until = end if size == 0 else begin + size
        if until <= begin or until > end:
            return
        if kind in _BOXES:
            yield from _mp4(file, until)
        elif kind == b"stsz":
            yield struct.unpack(">I", file.read(12)[8:])[0]
        file.seek(until)


def _avi(file: BinaryIO, end: int) -> Iterator[int]:
    """Yield the numbers of frames of the video streams, and the total if the file has parts."""
    while file.tell() + 8 <= end:
        kind, size = struct.unpack("<4sI", file.read(8))
        begin = file.tell()
        if kind in (b"RIFF", b"LIST"):
            if file.read(4) != b"movi":
                yield from _avi(file, min(begin + size, end))
        elif kind == b"strh":
            head = file.read(36)
            if head[:4] == b"vids":
                yield struct.unpack("<I", head[32:36])[0]
        elif kind == b"dmlh":
            yield struct.unpack("<I", file.read(4))[0]
        file.seek(begin + size + size % 2)
