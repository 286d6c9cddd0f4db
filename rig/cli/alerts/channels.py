"""Send texts by the channels of the apprise library, each channel in its own thread."""

import queue
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from rig.errors import Refused

_MOST_WAITING = 20
_MOST_BODY = 2000


class _Text(NamedTuple):
    title: str
    body: str


class Channel:
    """One address. If it is slow, only its own texts wait, and the oldest of them are dropped."""

    def __init__(self, address: str, number: int) -> None:
        """Check the address. Raises Refused if apprise is missing or does not know it."""
        try:
            import apprise
        except ImportError as error:
            raise Refused(
                'alerts need the apprise library; run: pip install "rig[alerts]"'
            ) from error
        # Only this name may be printed, as an address can contain a password.
        self.name = f"channel {number} ({address.partition(':')[0]})"
        self._apprise = apprise.Apprise()
        if not self._apprise.add(address):
            raise Refused(
                f"{self.name} is not an address that apprise knows; correct it in alerts.toml"
            )
        self._waiting: queue.Queue[_Text | None] = queue.Queue(_MOST_WAITING)
        self.failures = 0
        """Number of texts that could not be sent."""
        self.sent = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def send(self, title: str, body: str) -> None:
        """Send a text as soon as the channel is free; return at once."""
        self._put(_Text(title, body[:_MOST_BODY]))

    def close(self, until: float) -> bool:
        """Wait until all texts are sent or a time (s, monotonic); return True if they are sent."""
        self._put(None)
        self._thread.join(max(0.0, until - time.monotonic()))
        return not self._thread.is_alive()

    def _put(self, text: _Text | None) -> None:
        while True:
            try:
                return self._waiting.put_nowait(text)
            except queue.Full:
                try:
                    self._waiting.get_nowait()
                    self.failures += 1
                except queue.Empty:
                    continue

    def _run(self) -> None:
        while (text := self._waiting.get()) is not None:
            if self._apprise.notify(title=text.title, body=text.body):
                self.sent += 1
            else:
                self.failures += 1


class Channels:
    """All channels of a person."""

    def __init__(self, addresses: Sequence[str]) -> None:
        """Check all addresses. Raises Refused if one is not valid."""
        self.all = [Channel(address, number) for number, address in enumerate(addresses, 1)]

    def send(self, title: str, body: str) -> None:
        """Send a text by every channel; return at once."""
        for channel in self.all:
            channel.send(title, body)

    def close(self, within_s: float) -> list[str]:
        """Wait at most within_s; return a sentence for each channel that failed."""
        until = time.monotonic() + within_s
        found = []
        for channel in self.all:
            if not channel.close(until):
                found.append(f"{channel.name} did not answer within {within_s:g} s")
            elif channel.failures:
                found.append(f"{channel.name} failed; check its address in alerts.toml")
        return found
