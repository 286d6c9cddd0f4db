"""A log has every message up to the byte at which its writer died."""

import mmap
import re
import shutil
from pathlib import Path

import pytest
from mcap.reader import NonSeekingReader

from rig.clock import SetClock
from rig.errors import Refused
from rig.messages import Ended, Heartbeat, Lick, Message, Start, Wheel, kind
from rig.session.recover import complete_log
from rig.transport import log, log_scan
from rig.transport.envelope import CorruptMessage, Envelope, Sender, pack, unpack
from rig.transport.log import (
    JOURNAL_FOLDER,
    LOG_FILE,
    Completeness,
    Journal,
    LogReader,
    LogWriter,
    read,
    read_completeness,
    read_kinds,
)
from tests.kept_sessions import SCHEMAS, kept_session
from tests.rig.flip_bits import flip, silent_flips, write_log


def enveloped(name: str, messages: list[Message]) -> list[tuple[Envelope, Message]]:
    clock = SetClock()
    sender = Sender(name, clock)
    result = []
    for message in messages:
        clock.set(message.t)
        result.append((sender.wrap(message), message))
    return result


def write(path: Path, pairs: list[tuple[Envelope, Message]], chunked: bool = True) -> LogWriter:
    writer = LogWriter(path, chunked)
    for envelope, message in pairs:
        writer.append(kind(message), envelope, pack(envelope))
    return writer


SENT: list[Message] = [Wheel(t, t, t * 0.1) for t in range(1, 6)] + [Lick(9, "centre")]


@pytest.mark.parametrize("chunked", [True, False])
def test_what_is_written_is_read_back_in_order(tmp_path: Path, chunked: bool) -> None:
    path = tmp_path / "x.mcap"
    pairs = enveloped("hardware", SENT)
    write(path, pairs, chunked).close(Completeness(True, len(pairs)))
    assert list(read(path)) == pairs
    if chunked:
        assert read_completeness(path) == Completeness(True, len(pairs))


@pytest.mark.parametrize("chunked", [True, False])
def test_any_reader_of_mcap_reads_it(tmp_path: Path, chunked: bool) -> None:
    path = tmp_path / "x.mcap"
    pairs = enveloped("hardware", SENT)
    write(path, pairs, chunked).close()
    with path.open("rb") as file:
        found = [
            (schema.name, channel.topic, message.sequence, message.log_time, message.data)
            for schema, channel, message in NonSeekingReader(
                file, validate_crcs=True
            ).iter_messages()
            if schema is not None
        ]
    assert found == [(kind(w), f"hardware/{kind(w)}", e.seq, e.sent, pack(e)) for e, w in pairs]


def test_a_truncated_journal_gives_its_messages_up_to_the_cut(tmp_path: Path) -> None:
    pairs = enveloped("hardware", SENT)
    whole = tmp_path / "whole.mcap"
    writer = write(whole, pairs, chunked=False)
    data = whole.read_bytes()
    writer.close()
    cut = tmp_path / "cut.mcap"
    lengths = set()
    for end in range(len(data) + 1):
        cut.write_bytes(data[:end])
        got = list(read(cut))
        assert got == pairs[: len(got)]
        lengths.add(len(got))
        assert read_completeness(cut) is None
    assert lengths == set(range(len(pairs) + 1))


def test_a_flipped_byte_never_gives_a_wrong_message(tmp_path: Path) -> None:
    pairs = enveloped("hardware", SENT)
    path = tmp_path / "x.mcap"
    write(path, pairs, chunked=False).close()
    data = path.read_bytes()
    for at in range(0, len(data), 3):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])
        for _, message in read(path):
            assert message in SENT


@pytest.mark.parametrize("chunked", [True, False])
def test_no_flipped_bit_of_a_closed_file_is_silent(tmp_path: Path, chunked: bool) -> None:
    assert silent_flips(tmp_path, 80, 7, chunked, 1500) == []


def test_a_log_of_many_blocks_is_read_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The part of a log that was read is freed from memory, and is read again when needed."""
    path = kept_session(SCHEMAS[-1], tmp_path) / LOG_FILE
    expected = [(envelope, message) for envelope, message, _ in LogReader(path).messages()]
    monkeypatch.setattr(log_scan, "_BLOCK_BYTES", mmap.ALLOCATIONGRANULARITY)
    assert path.stat().st_size > 10 * mmap.ALLOCATIONGRANULARITY
    reader = LogReader(path)
    assert [(envelope, message) for envelope, message, _ in reader.messages()] == expected
    assert reader.intact
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    found = [(envelope, message) for envelope, message, _ in reader.messages()]
    assert not reader.intact
    assert 0 < len(found) < len(expected)


def test_only_the_wanted_messages_are_read(tmp_path: Path) -> None:
    path = kept_session(SCHEMAS[-1], tmp_path) / LOG_FILE
    everything = list(LogReader(path).messages())
    found = list(LogReader(path).messages(lambda sender, name: name == "Lick" or sender == "task"))
    assert found == [
        one for one in everything if isinstance(one[1], Lick) or one[0].sender == "task"
    ]
    assert 0 < len(found) < len(everything) == log.message_count(path)


def test_messages_on_both_sides_of_a_damaged_chunk_are_read(tmp_path: Path) -> None:
    path, damaged = tmp_path / "x.mcap", tmp_path / "y.mcap"
    count = write_log(path, 3000, chunked=True)
    third_chunk = [found.end() for found in re.finditer(b"zstd", path.read_bytes())][2]
    flip(path, damaged, 8 * (third_chunk + 100))
    sound, kept = list(read(path)), list(read(damaged))
    assert kept[0] == sound[0]
    assert kept[-1] == sound[-1]
    assert 0 < count - len(kept) < 1000
    completeness = read_completeness(damaged)
    assert completeness is not None
    assert not completeness.whole
    assert 0 < completeness.in_hub_order < len(kept)
    assert f"{count - len(kept)} of {count} messages of y.mcap cannot be read" in (
        completeness.missing
    )
    assert len(list(read_kinds(damaged, {Wheel}))) == sum(isinstance(m, Wheel) for _, m in kept)


def test_a_damaged_length_in_an_open_journal_hides_one_message(tmp_path: Path) -> None:
    path = tmp_path / "x.mcap"
    pairs = enveloped("hardware", SENT)
    writer = write(path, pairs, chunked=False)
    data = bytearray(path.read_bytes())
    writer.close()
    second = data.index(pack(pairs[1][0])) - log_scan.MESSAGE_HEAD.size
    for wrong in (0, 1, 2**20, 2**62):
        data[second - 8 : second] = wrong.to_bytes(8, "little")
        path.write_bytes(data)
        reader = LogReader(path)
        assert [(e, m) for e, m, _ in reader.messages()] == pairs[:1] + pairs[2:]
        assert not reader.scan.closed


def test_a_message_of_an_unknown_type_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.mcap"
    pairs = enveloped("hardware", SENT)
    write(path, pairs).close(Completeness(True, len(pairs)))

    def without_lick(data: bytes) -> tuple[Envelope, Message]:
        envelope, message = unpack(data)
        if isinstance(message, Lick):
            raise CorruptMessage("Invalid value 'Lick'")
        return envelope, message

    known = {k: v for k, v in log._MESSAGE_TYPES.items() if k != "Lick"}
    monkeypatch.setattr(log, "_MESSAGE_TYPES", known)
    monkeypatch.setattr(log_scan, "unpack", without_lick)
    completeness = read_completeness(path)
    assert completeness is not None
    assert not completeness.whole
    assert f"1 of {len(pairs)} messages" in completeness.missing


def journalled(folder: Path, sender: str, pairs: list[tuple[Envelope, Message]]) -> None:
    with Journal(folder, sender) as journal:
        for envelope, message in pairs:
            journal.append(kind(message), envelope, pack(envelope))


def a_session(folder: Path) -> dict[str, list[tuple[Envelope, Message]]]:
    nodes = {"hardware": {"run": "behavior.hardware"}}
    launch = enveloped("launch", [Start(0, {"nodes": nodes})])
    hardware = enveloped("hardware", [*SENT, Heartbeat(10, True), Ended(11, "done", False, {})])
    (folder / JOURNAL_FOLDER).mkdir()
    journalled(folder, "launch", launch)
    journalled(folder, "hardware", hardware)
    return {"launch": launch, "hardware": hardware}


def test_recovering_completes_a_log_from_the_journals(tmp_path: Path) -> None:
    pairs = a_session(tmp_path)
    kept = pairs["launch"] + pairs["hardware"][:3]
    write(tmp_path / LOG_FILE, kept).close(Completeness(False, len(kept), "the end of hardware"))
    verdict = complete_log(tmp_path)
    assert verdict == Completeness(True, len(kept))
    assert list(read(tmp_path / LOG_FILE)) == pairs["launch"] + pairs["hardware"]
    assert not (tmp_path / JOURNAL_FOLDER).exists()
    assert complete_log(tmp_path) == verdict


def test_recovery_without_a_log_sorts_messages_by_send_time(tmp_path: Path) -> None:
    pairs = a_session(tmp_path)
    verdict = complete_log(tmp_path)
    assert verdict == Completeness(True, 0)
    assert list(read(tmp_path / LOG_FILE)) == pairs["launch"] + pairs["hardware"]


def test_a_log_that_lost_messages_in_its_middle_is_reported(tmp_path: Path) -> None:
    pairs = a_session(tmp_path)
    kept = pairs["launch"] + pairs["hardware"][:1] + pairs["hardware"][2:]
    write(tmp_path / LOG_FILE, kept).close(Completeness(False, len(kept)))
    assert not complete_log(tmp_path).whole


def test_a_truncated_log_without_journals_is_closed_with_its_readable_messages(
    tmp_path: Path,
) -> None:
    pairs = a_session(tmp_path)
    path = tmp_path / LOG_FILE
    writer = write(tmp_path / "growing.mcap", pairs["launch"] + pairs["hardware"])
    writer.flush()
    shutil.copyfile(tmp_path / "growing.mcap", path)
    writer.close()
    shutil.rmtree(tmp_path / JOURNAL_FOLDER)
    assert read_completeness(path) is None
    verdict = complete_log(tmp_path)
    assert not verdict.whole
    assert "the end of launch" in verdict.missing
    assert list(read(path)) == pairs["launch"] + pairs["hardware"]


def test_a_log_without_a_readable_message_is_refused(tmp_path: Path) -> None:
    (tmp_path / LOG_FILE).write_bytes(bytes(1000))
    with pytest.raises(Refused, match="nothing to recover"):
        complete_log(tmp_path)


def test_a_folder_without_log_or_journals_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="nothing to recover"):
        complete_log(tmp_path)
