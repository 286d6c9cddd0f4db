"""Read logs and journals with only the MCAP library, without the code that is tested."""

import struct
import zlib
from pathlib import Path

from mcap.exceptions import McapError
from mcap.records import Channel, Message
from mcap.stream_reader import StreamReader

Key = tuple[str, str, int, int]
"""Sender, type, incarnation and sequence number of a message."""


def messages_in(path: Path) -> list[tuple[Key, int]]:
    """Return the key of each message, up to the first damage, and the CRC of its envelope."""
    channels: dict[int, Channel] = {}
    found = []
    with path.open("rb") as file:
        try:
            for record in StreamReader(file, validate_crcs=True).records:
                if isinstance(record, Channel):
                    channels[record.id] = record
                elif isinstance(record, Message):
                    channel = channels[record.channel_id]
                    sender, _, name = channel.topic.partition("/")
                    key = (sender, name, int(channel.metadata["life"]), record.sequence)
                    found.append((key, zlib.crc32(record.data)))
        except (McapError, struct.error):  # a journal without an end
            pass
    return found
