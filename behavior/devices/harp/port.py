"""The serial port under a Harp board: bytes out, and bytes in with the time at which they came.

The only file that touches pyserial. A thread reads, so that the time of arrival is true whatever
the driver's loop is doing.
"""

import threading
from collections import deque
from contextlib import suppress
from typing import Any

from rig.clock import monotonic_ns
from rig.errors import Refused

BAUD = 1_000_000
_WAIT_S = 0.1


class PortLostError(OSError):
    """The port, or who is behind it, is not there any more."""


class Port:
    """One serial port, found by its name or by the serial number of its USB plug."""

    def __init__(self, path: str, usb_serial: str) -> None:
        """Take either; a port's name may change when it is plugged in again, a number does not."""
        self._path, self._usb_serial = path, usb_serial
        self._serial: Any = None
        self._reader: threading.Thread | None = None
        self._came: deque[tuple[int, bytes]] = deque()
        self._news = threading.Event()
        self._lost = ""
        self._closing = False

    def open(self) -> None:
        """Open it, for this process alone. Raises Refused if it is not there or in use."""
        import serial

        path = self._path or _path_of(self._usb_serial)
        try:
            port = serial.Serial(path, BAUD, timeout=_WAIT_S, write_timeout=_WAIT_S, exclusive=True)
            port.reset_input_buffer()
        except (OSError, ValueError) as error:
            raise Refused(
                f"serial port {path} cannot be had ({error}); plug it in, or end what uses it"
            ) from error
        with suppress(OSError):  # a pseudo-terminal has no such line
            port.dtr = True  # some boards are silent for a host that does not raise it
        self._serial, self._lost, self._closing = port, "", False
        self._came.clear()
        self._reader = threading.Thread(target=self._read, args=(port,), daemon=True)
        self._reader.start()

    def send(self, data: bytes) -> None:
        """Send bytes. Raises PortLostError if it cannot."""
        if self._serial is None or self._lost:
            raise PortLostError(self._lost or "the port is not open")
        try:
            self._serial.write(data)
        except OSError as error:  # all of pyserial's errors are of this kind
            raise PortLostError(f"it takes no bytes: {error}") from error

    def take(self) -> list[tuple[int, bytes]]:
        """Return what came since the last call, with the host's monotonic time (ns) of each piece.

        Raises PortLostError once all is taken and nothing more can come.
        """
        self._news.clear()
        came = [self._came.popleft() for _ in range(len(self._came))]
        if not came and self._lost:
            raise PortLostError(self._lost)
        return came

    def wait(self, seconds: float) -> None:
        """Return when something came, or the port was lost, or so much time has passed."""
        self._news.wait(seconds)

    def close(self) -> None:
        """Let go; also if it was never opened, and more than once."""
        self._closing = True
        if self._serial is not None:
            with suppress(OSError):
                self._serial.cancel_read()
            if self._reader is not None:
                self._reader.join()
            with suppress(OSError):
                self._serial.close()
            self._serial = None

    def _read(self, port: Any) -> None:
        while not self._closing:
            try:
                data = port.read(max(1, port.in_waiting))
            except OSError as error:
                self._lost = f"its port is gone: {error}"
                self._news.set()
                return
            if data:
                self._came.append((monotonic_ns(), data))
                self._news.set()


def _path_of(usb_serial: str) -> str:
    from serial.tools import list_ports

    ports = list(list_ports.comports())
    for port in ports:
        if port.serial_number == usb_serial:
            return str(port.device)
    known = ", ".join(f"{p.serial_number} ({p.device})" for p in ports if p.serial_number)
    raise Refused(
        f"no USB board with serial number {usb_serial!r} is plugged in; there are: "
        f"{known or 'none'}; plug it in, or correct usb_serial"
    )
