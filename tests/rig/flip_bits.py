"""Flip single bits of closed logs and journals, and count the flips that no reader notices.

python -m tests.rig.flip_bits 1000
"""

import random
import sys
import tempfile
from pathlib import Path

from rig.clock import SetClock
from rig.messages import Message, Position, Wheel, kind
from rig.transport.envelope import Sender, pack
from rig.transport.log import Completeness, LogReader, LogWriter, read_completeness


def write_log(path: Path, ticks: int, chunked: bool) -> int:
    """Write a closed log (or journal) of that many ticks; return how many messages it holds."""
    clock = SetClock()
    hardware, task = Sender("hardware", clock), Sender("task", clock)
    writer = LogWriter(path, chunked)
    for tick in range(ticks):
        t = tick * 1_000_000
        clock.set(t)
        pair: tuple[tuple[Sender, Message], ...] = (
            (hardware, Wheel(t, tick, tick * 0.01)),
            (task, Position(t, 3, tick * 0.0001, 12.5, True, "corridor")),
        )
        for sender, message in pair:
            envelope = sender.wrap(message)
            writer.append(kind(message), envelope, pack(envelope))
    writer.close(Completeness(True, writer.count) if chunked else None)
    return writer.count


def flip(path: Path, out: Path, bit: int) -> None:
    """Copy a file with one bit flipped."""
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << (bit % 8)
    out.write_bytes(data)


def silent_flips(folder: Path, flips: int, seed: int, chunked: bool, ticks: int) -> list[int]:
    """Return the bits whose flip left a file that passes for whole, or hid what was not hit."""
    path, damaged = folder / "sound.mcap", folder / "damaged.mcap"
    count = write_log(path, ticks, chunked)
    size, rng = path.stat().st_size, random.Random(seed)
    silent = []
    for _ in range(flips):
        bit = rng.randrange(8 * size)
        flip(path, damaged, bit)
        reader = LogReader(damaged)
        read = sum(1 for _ in reader.messages())
        reported = bool(reader.damage()) or not reader.scan.closed
        if chunked:
            completeness = read_completeness(damaged)
            reported = reported and (completeness is None or not completeness.whole)
        if not reported or read < count - 1000 * chunked - 1:
            silent.append(bit)
    path.unlink()
    return silent


def main() -> None:
    flips = int(sys.argv[1])
    for chunked, name in ((True, "log"), (False, "journal")):
        with tempfile.TemporaryDirectory() as folder:
            silent = silent_flips(Path(folder), flips, 1, chunked, 5000)
        print(f"{name}: {flips} bits flipped, {len(silent)} silent {silent or ''}")


if __name__ == "__main__":
    main()
