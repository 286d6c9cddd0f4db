"""The process that sends a session's alerts: `python -m ... FOLDER`.

It subscribes to the session as the live page does. At the end of the session, `rig run` closes the
standard input of this process, which then sends the remaining alerts and ends.
"""

import sys
import threading
import time
from pathlib import Path
from typing import Protocol

from rig.cli.alerts.channels import Channels
from rig.errors import Refused
from rig.monitor.feeds import LiveFeed
from rig.monitor.state import MonitorState
from rig.settings.alert_settings import AlertSettings, read_alerts
from rig.settings.config import read_session

_LOOK_S = 0.25
_FAULTS_EVERY_S = 60.0
"""Shortest time between two alerts about faults, s; the faults in between are sent together."""
_LAST_WORDS_S = 3.0
"""Longest wait for the end of the session after standard input was closed, s."""
_SEND_WITHIN_S = 60.0
_MOST_FAULTS = 10


class Sends(Protocol):
    """A channel, or several, that sends a text without waiting."""

    def send(self, title: str, body: str) -> None: ...


class SessionAlerts:
    """The alerts of a session, derived from the state that the live page shows; reads no clock."""

    def __init__(self, settings: AlertSettings, channels: Sends) -> None:
        self._settings, self._channels = settings, channels
        self._sent_faults = 0
        self._next_s = 0.0
        self._is_over = False

    def look(self, state: MonitorState, now_s: float) -> None:
        """Send the new faults, and the end of the session.

        Args:
            state: The session so far.
            now_s: The time of any clock, s.
        """
        if self._is_over or not state.session:
            return
        self._is_over = bool(state.ended)
        new = state.faults[self._sent_faults :]
        if new and self._settings.faults and (now_s >= self._next_s or self._is_over):
            self._sent_faults, self._next_s = len(state.faults), now_s + _FAULTS_EVERY_S
            lines = [f"{fault['sender']}: {fault['text']}" for fault in new[:_MOST_FAULTS]]
            lines += [f"and {len(new) - _MOST_FAULTS} more"] * (len(new) > _MOST_FAULTS)
            self._channels.send(f"{_who(state)}: fault", "\n".join(lines))
        if self._is_over and self._settings.session_end:
            self._channels.send(f"{_who(state)}: session ended", _end_text(state))

    def lost(self, state: MonitorState) -> None:
        """Send that the session was cut off, if its end was not received."""
        if not self._is_over and state.session:
            text = "rig run died before the session ended; check the rig"
            self._channels.send(f"{_who(state)}: session cut off", text)


def _who(state: MonitorState) -> str:
    return f"{state.session['subject']} on {state.session['rig']}"


def _end_text(state: MonitorState) -> str:
    head = state.head()
    done = sum(row["outcome"] == "done" for row in state.trials.values())
    faults = f"{len(state.faults)} faults" if state.faults else "no fault"
    return (
        f"{state.ended}. {done} trials in {head['t_s'] / 60:.0f} min, {head['water_ul']:.1f} ul in "
        f"this session, {faults}."
    )


def main() -> None:
    """Send alerts until the session is over."""
    folder = Path(sys.argv[1])
    settings = read_alerts()
    if settings is None:
        return
    channels = Channels(settings.channels)
    over = threading.Event()
    threading.Thread(target=_set_with_input, args=(over,), daemon=True).start()
    feed, state = LiveFeed(folder, read_session(folder)), MonitorState()
    alerts = SessionAlerts(settings, channels)
    last_s = float("inf")
    while not state.ended and time.monotonic() < last_s:
        for envelope, message in feed.take():
            state.handle(envelope, message)
        alerts.look(state, time.monotonic())
        if over.wait(_LOOK_S):
            last_s = min(last_s, time.monotonic() + _LAST_WORDS_S)
            time.sleep(_LOOK_S)
    alerts.lost(state)
    feed.close()
    channels.close(_SEND_WITHIN_S)


def _set_with_input(over: threading.Event) -> None:
    sys.stdin.buffer.read()
    over.set()


if __name__ == "__main__":
    try:
        main()
    except Refused as refusal:
        sys.exit(str(refusal))
