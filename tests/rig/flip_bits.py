"""Flip single bits of logs, journals and records, and count the flips that no reader notices.

python -m tests.rig.flip_bits 1000
"""

import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from rig.clock import SetClock
from rig.errors import Refused
from rig.messages import Message, Position, Wheel, kind
from rig.subjects.ledger import Booking, Ledger, Supplement
from rig.subjects.record import RECORD_FILE, Subject, Weighing, open_record
from rig.transport.envelope import Sender, pack
from rig.transport.log import Completeness, LogReader, LogWriter, read_completeness

_DAY_S = 86_400.0


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
    """Return the bits whose flip left a file that counts as whole, or hid other messages."""
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


def write_record(data: Path, animals: int, days: int, pulses: int) -> None:
    """Write a record of animals with a weight, a session and a supplement on each day."""
    with open_record(data) as record:
        ledger = Ledger(record)
        for name in (f"VR{number}" for number in range(animals)):
            record.add(Subject(name, "task", "train1", 25.0, restricted=True, need_ml=1.0))
            for day in range(days):
                began = day * _DAY_S
                given = tuple((began + 20.0 * n, 3.0) for n in range(pulses))
                id_ = random.Random(f"{name} {day}").randbytes(16).hex()
                row = Booking(id_, name, f"ses-{day}_1", "train1", began, began + 5e3, True, given)
                ledger.open(row)
                ledger.give(name, Supplement(began + 6e3, 200.0, "by hand"))
                record.weigh(name, Weighing(f"2026-01-{day + 1:02}", 23.5, "good", ""))


def read_record(data: Path) -> list[Any]:
    """Return the contents of a record, found in each way in which the rig searches it."""
    with open_record(data) as record:
        ledger, subjects = Ledger(record), record.subjects()
        found: list[Any] = [subjects, ledger.behind_s(0.0)]
        for one in subjects:
            sessions = ledger.sessions(one.name)
            found += [record.find(one.name), record.weights(one.name), sessions]
            found += [ledger.supplements(one.name), [ledger.get(row.id) for row in sessions]]
        return found


def silent_record_flips(data: Path, flips: int, seed: int) -> list[int]:
    """Return the bits whose flip changes what is read from a record that no reader refuses."""
    path, rng, silent = data / RECORD_FILE, random.Random(seed), []
    sound, whole = read_record(data), path.read_bytes()
    for _ in range(flips):
        bit = rng.randrange(8 * len(whole))
        flip_in = bytearray(whole)
        flip_in[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(flip_in)
        try:
            if read_record(data) != sound:
                silent.append(bit)
        except Refused:
            pass
    path.write_bytes(whole)
    return silent


def main() -> None:
    flips = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        write_record(Path(folder), animals=6, days=30, pulses=150)
        size = (Path(folder) / RECORD_FILE).stat().st_size
        silent = silent_record_flips(Path(folder), flips, 1)
    print(
        f"record of {size / 1e6:.1f} MB: {flips} bits flipped, {len(silent)} silent {silent or ''}"
    )
    for chunked, name in ((True, "log"), (False, "journal")):
        with tempfile.TemporaryDirectory() as folder:
            silent = silent_flips(Path(folder), flips, 1, chunked, 5000)
        print(f"{name}: {flips} bits flipped, {len(silent)} silent {silent or ''}")


if __name__ == "__main__":
    main()
