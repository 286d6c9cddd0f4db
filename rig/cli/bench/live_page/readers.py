"""Make the requests of several browsers, without drawing: `python -m ... ADDRESS NUMBER`.

Each reader reads every update and fetches images and cells as the page does. A line "on" or "off"
on standard input connects or disconnects all readers; they end when standard input is closed.
"""

import asyncio
import json
import sys
from contextlib import suppress
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException


async def main() -> None:
    """Connect and disconnect the readers according to standard input."""
    address, number = sys.argv[1], int(sys.argv[2])
    reading: list[asyncio.Task[None]] = []
    while line := await asyncio.to_thread(sys.stdin.readline):
        for task in reading:
            task.cancel()
        reading = []
        if line.strip() == "on":
            reading = [asyncio.create_task(_read(address)) for _ in range(number)]


async def _read(address: str) -> None:
    parts = urlsplit(address)
    known: tuple[object, object, object] = (None, None, None)
    with suppress(OSError, WebSocketException):
        async with connect(f"ws://{parts.netloc}/live", max_size=None) as socket:
            async for text in socket:
                await socket.send("drawn")
                found = json.loads(text).get("imaging")
                if not found:
                    continue
                new = (found["pages"], found["cells"], found["levels_version"])
                if new[0] != known[0]:
                    await _get(parts.netloc, "/image?kind=live&plane=0")
                if new[1] != known[1]:
                    await _get(parts.netloc, "/cells")
                if new[2] != known[2]:
                    await _get(parts.netloc, "/levels")
                known = new


async def _get(host: str, path: str) -> None:
    name, _, port = host.partition(":")
    reader, writer = await asyncio.open_connection(name, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    while await reader.read(1 << 20):
        pass
    writer.close()


if __name__ == "__main__":
    asyncio.run(main())
