"""The frames of a video are compared with the counted exposures."""

import struct
from pathlib import Path

import pytest

from rig.cli.sessions import video_frames
from rig.errors import Refused


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack("<4sI", kind, len(body)) + body + b"\0" * (len(body) % 2)


def _mp4(frames: int) -> bytes:
    inner = _box(b"stsz", struct.pack(">III", 0, 0, frames) + bytes(4 * frames))
    for kind in (b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        inner = _box(kind, inner)
    return _box(b"ftyp", b"isom0000") + _box(b"mdat", bytes(77)) + inner


def _avi(frames: int) -> bytes:
    head = b"vids" + bytes(28) + struct.pack("<I", frames) + bytes(20)
    strl = _chunk(b"LIST", b"strl" + _chunk(b"strh", head))
    movi = _chunk(b"LIST", b"movi" + _chunk(b"00dc", b"strh" + bytes(31)))
    return _chunk(b"RIFF", b"AVI " + _chunk(b"LIST", b"hdrl" + strl) + movi)


CSV = "".join(f"{n},0.1\n" for n in range(123)).encode()


@pytest.mark.parametrize(
    ("name", "data"),
    [("a.mp4", _mp4(123)), ("a.MOV", _mp4(123)), ("a.avi", _avi(123)), ("t.csv", CSV)],
)
def test_frames_are_counted_without_a_decoder(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert video_frames.frames_in(path) == 123


@pytest.mark.parametrize(
    ("name", "data"), [("a.mp4", b"junk"), ("a.mp4", _mp4(5)[:40]), ("a.avi", b""), ("a.mkv", b"x")]
)
def test_a_file_that_is_not_a_video_is_refused(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(Refused, match="cannot be counted"):
        video_frames.frames_in(path)
    with pytest.raises(Refused, match="cannot be read"):
        video_frames.frames_in(tmp_path / "none.avi")


def test_each_camera_is_compared_with_its_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_frames, "exposures", lambda _: {"face": 123, "body": 7})
    path = tmp_path / "face.csv"
    path.write_bytes(CSV)
    (face, sound), (body, _) = video_frames.compared(tmp_path, [f"face={path}"])
    assert sound
    assert "123 exposures, 123 frames" in face
    assert "7 exposures; compare its video: --video body=FILE" in body
    path.write_bytes(CSV[:-8])
    (face, sound), _ = video_frames.compared(tmp_path, [f"face={path}"])
    assert not sound
    assert "1 differ" in face
    with pytest.raises(Refused, match="no camera of that name; choose one of face, body"):
        list(video_frames.compared(tmp_path, ["tail=x.csv"]))
    with pytest.raises(Refused, match="NAME=FILE"):
        list(video_frames.compared(tmp_path, ["face"]))
