"""How a process that has devices in hand ends: its valves shut, also if a device hangs."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_ENDING = [getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n)]
_HUNG_S = 5.0
"""No device takes so long; a session's own watch over its processes is stricter."""


@contextmanager
def _handled(numbers: list[signal.Signals], handler: Any) -> Iterator[None]:
    """Have signals answered by a handler for a while."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextmanager
def clean_exit_on_signals() -> Iterator[None]:
    """Let a process that is told to end, or whose terminal is gone, close its devices first."""

    def end(number: int, frame: object) -> None:
        for other in told:  # once is enough: the devices are being closed
            signal.signal(other, signal.SIG_IGN)
        raise SystemExit(128 + number)

    told = [number for number in _ENDING if number != signal.SIGINT]
    with _handled(told, end):
        yield


@contextmanager
def signals_ignored() -> Iterator[None]:
    """Let nothing that asks the process to end interrupt what is done here."""
    with _handled(_ENDING, signal.SIG_IGN):
        yield


@contextmanager
def exit_if_hung(asked_since: Callable[[], float | None]) -> Iterator[None]:
    """End the process if a device is asked (since when: s, monotonic) and does not come back."""
    over = threading.Event()

    def mind() -> None:
        while not over.wait(_HUNG_S / 20):
            asked_s = asked_since()
            if asked_s is not None and time.monotonic() - asked_s > _HUNG_S:
                print(
                    f"a device has not answered for {_HUNG_S:g} s: end here; a pulse under way is "
                    "ended by the device. Look at its driver and its plug",
                    file=sys.stderr,
                    flush=True,
                )
                os._exit(1)

    thread = threading.Thread(target=mind, name="mind", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
