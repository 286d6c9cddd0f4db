"""End a process that operates devices with its valves shut, even if a device hangs."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_ENDING = [getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n)]
"""Signals that ask a process to end, if the operating system has them."""
_HUNG_S = 5.0
"""Time after which a call of a device counts as hung, s. In a session the limit is stricter."""


@contextmanager
def _handled(numbers: list[signal.Signals], handler: Any) -> Iterator[None]:
    """Set a handler for signals, and restore the old ones at the end."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextmanager
def clean_exit_on_signals() -> Iterator[None]:
    """Close the devices before the process ends by a signal or a closed terminal."""

    def end(number: int, frame: object) -> None:
        for other in handled:  # the devices are being closed, so ignore further signals
            signal.signal(other, signal.SIG_IGN)
        raise SystemExit(128 + number)

    handled = [number for number in _ENDING if number != signal.SIGINT]
    with _handled(handled, end):
        yield


@contextmanager
def signals_ignored() -> Iterator[None]:
    """Ignore signals that ask the process to end."""
    with _handled(_ENDING, signal.SIG_IGN):
        yield


@contextmanager
def exit_if_hung(waiting_since: Callable[[], float | None]) -> Iterator[None]:
    """End the process if a call of a device does not return.

    Args:
        waiting_since: Returns the time at which the current call began (s, monotonic), or None.
    """
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_HUNG_S / 20):
            began_s = waiting_since()
            if began_s is not None and time.monotonic() - began_s > _HUNG_S:
                print(
                    f"a device has not answered for {_HUNG_S:g} s, so this command ends; the "
                    "device itself ends a pulse that is under way. Check its driver and its cable",
                    file=sys.stderr,
                    flush=True,
                )
                os._exit(1)

    thread = threading.Thread(target=watch, name="device watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
