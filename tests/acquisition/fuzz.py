"""Damage ScanImage files in thousands of ways, and compare what is read of them with tifffile.

The whole run: python -m tests.acquisition.fuzz 5000
"""

import logging
import random
import signal
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import tifffile

from acquisition.files.vendor_reader import ClosedFile
from acquisition.simulation.scanimage_encoding import Recording
from acquisition.simulation.scanimage_writer import Link, Writer
from rig.errors import Refused
from tests.acquisition.files import BEGAN, pictures

HANGS_S = 20
FAILURES = ("crash", "hang", "differs", "error")
_VALUES = (0, 1, 2, 7, 255, 256, 65535, 65536, 1 << 31, (1 << 32) - 1, 1 << 40, (1 << 64) - 1)


def originals(folder: Path) -> list[bytes]:
    """Return whole files of each kind that the follower reads."""
    links: tuple[Link, ...] = ("pre", "post")
    kinds = [
        (links[i % 2], pages, channels) for i, pages in enumerate((1, 2, 6)) for channels in (1, 2)
    ]
    raws = []
    for number, (link, pages, channels) in enumerate(kinds):
        path = folder / f"original_{number}.tif"
        recording = Recording(shape=(6, 10), rate_hz=10.0, channels=tuple(range(1, channels + 1)))
        writer = Writer(path, recording, BEGAN, link)
        for i, frame in enumerate(pictures(pages * channels, seed=number)):
            writer.append(frame, i / 10)
        writer.close()
        raws.append(path.read_bytes())
    for big in (True, False):
        path = folder / f"old_{big}.tif"
        with tifffile.TiffWriter(path, bigtiff=big) as old:
            for n, frame in enumerate(pictures(4), start=1):
                text = f"frameNumbers = {n}\nframeTimestamps_sec = 0.{n}\nSI.VERSION_MAJOR = '2015'"
                old.write(frame, description=text.encode(), metadata=None, contiguous=False)
        raws.append(path.read_bytes())
    return raws


def mutated(raw: bytes, rng: random.Random) -> bytes:
    """Return the file with one to four damages."""
    damaged = bytearray(raw)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        rng.choice(_DAMAGES)(damaged, rng)
        if len(damaged) < 2:
            break
    return bytes(damaged)


def _byte(raw: bytearray, rng: random.Random) -> None:
    raw[_somewhere(raw, rng)] = rng.randrange(256)


def _integer(raw: bytearray, rng: random.Random) -> None:
    size, code = rng.choice(((2, "<H"), (4, "<I"), (8, "<Q")))
    at = min(_somewhere(raw, rng), max(0, len(raw) - size))
    value = rng.choice((*_VALUES, rng.randrange(len(raw)), len(raw), at)) % (1 << 8 * size)
    raw[at : at + size] = struct.pack(code, value)


def _cut(raw: bytearray, rng: random.Random) -> None:
    del raw[rng.randrange(1, len(raw)) :]


def _insert(raw: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(raw))
    raw[at:at] = rng.randbytes(rng.randint(1, 24))


def _lose(raw: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(raw))
    del raw[at : at + rng.randint(1, 24)]


def _repeat(raw: bytearray, rng: random.Random) -> None:
    size = rng.randint(1, 400)
    source, target = rng.randrange(len(raw)), rng.randrange(len(raw))
    raw[target : target + size] = raw[source : source + size]


def _tag(raw: bytearray, rng: random.Random) -> None:
    """Spoil an entry of a page's tags."""
    entries = [at for at in range(len(raw) - 20) if bytes(raw[at : at + 2]) in _TAG_STARTS]
    if entries:
        at = rng.choice(entries) + rng.choice((0, 2, 4, 12))
        value = rng.choice((*_VALUES, rng.randrange(400), 317, 266, 322, len(raw)))
        size = 2 if rng.random() < 0.5 else 8
        raw[at : at + size] = (value % (1 << 8 * size)).to_bytes(size, "little")


_TAG_STARTS = {struct.pack("<H", tag) for tag in (256, 257, 258, 259, 270, 273, 277, 278, 279, 339)}
_DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _byte, _byte, _integer, _integer, _cut, _insert, _lose, _repeat, _tag, _tag, _tag,
)  # fmt: skip


def _somewhere(raw: bytearray, rng: random.Random) -> int:
    """Return an offset, half of the time among the first bytes or around a page's tags."""
    if rng.random() < 0.3:
        return rng.randrange(min(40, len(raw)))
    return rng.randrange(len(raw))


def judge(path: Path) -> str:
    """Return what became of a file: refused, same, or one of the failures."""
    try:
        with closing(ClosedFile(path)) as file:
            ours = file.read(0, len(file)) if len(file) else None
            if len(file) > 1:
                file.read(len(file) - 1, len(file))
                file.description(len(file) - 1)
    except Refused:
        return "refused"
    except Exception as error:  # any other error is a failure of the reader
        return f"error {error!r}"
    try:
        with tifffile.TiffFile(path) as file:
            theirs = [page.asarray() for page in file.pages]
    except Exception:  # tifffile raises many kinds
        return "only ours"
    if ours is None:
        return "same" if not theirs else "differs"
    same = len(theirs) == len(ours) and all(map(np.array_equal, theirs, ours))
    return "same" if same else "differs"


def run(seed: int, count: int) -> Counter[str]:
    """Judge damaged files, each batch in its own process, because a file may crash or hang it."""
    found: Counter[str] = Counter()
    first = 0
    while first < count:
        done = subprocess.run(
            [sys.executable, "-m", "tests.acquisition.fuzz", str(seed), str(first), str(count)],
            capture_output=True,
            text=True,
            check=False,
        )
        lines = done.stdout.splitlines()
        found.update(line.split()[0] if line.split()[0] in FAILURES else line for line in lines)
        first += len(lines)
        print(done.stderr[-2000:], end="")
        if first < count:
            print(f"file {first} of seed {seed}: exit code {done.returncode}")
            found["hang" if done.returncode == -signal.SIGALRM else "crash"] += 1
            first += 1
    return found


def _batch(seed: int, first: int, after: int) -> None:
    logging.getLogger("tifffile").disabled = True
    with tempfile.TemporaryDirectory() as name:
        whole = originals(Path(name))
        path = Path(name) / "damaged.tif"
        for number in range(first, after):
            rng = random.Random(f"{seed} {number}")
            path.write_bytes(mutated(rng.choice(whole), rng))
            signal.alarm(HANGS_S)
            verdict = judge(path)
            signal.alarm(0)
            if verdict.split()[0] in FAILURES:
                print(f"file {number} of seed {seed}: {verdict}", file=sys.stderr)
            print(verdict.replace("\n", " "), flush=True)


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[1:]]
    if len(numbers) == 3:
        _batch(*numbers)
    else:
        totals = run(1, numbers[0])
        print(dict(totals), "failures:", sum(totals[name] for name in FAILURES))
