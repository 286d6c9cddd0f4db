"""The serial port of a Harp board: send bytes, and receive bytes with their time of arrival.

This is the only file that uses pyserial. A thread reads the port, so that the times of arrival do
not depend on the driver's loop.
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
    """Raised if the port or the board is lost."""


class Port:
    """One serial port, found by its name or by its USB serial number."""

    def __init__(self, path: str, usb_serial: str) -> None:
        """Name the port by its path or by the USB serial number; the other one is "".

        The path of a port may change when it is plugged in again; the serial number does not.
        """
        self._path, self._usb_serial = path, usb_serial
        self._serial: Any = None
        self._reader: threading.Thread | None = None
        self._chunks: deque[tuple[int, bytes]] = deque()
        self._arrived = threading.Event()
        self._lost = ""
        self._closing = False

    def open(self) -> None:
        """Open the port for this process alone. Raises Refused if it is missing or in use."""
        import serial

        path = self._path or _path_of(self._usb_serial)
        try:
            port = serial.Serial(path, BAUD, timeout=_WAIT_S, write_timeout=_WAIT_S, exclusive=True)
            port.reset_input_buffer()
        except (OSError, ValueError) as error:
            raise Refused(
                f"serial port {path} cannot be opened ({error}); plug the board in, or end the "
                "program that uses it"
            ) from error
        with suppress(OSError):  # a pseudo-terminal has no such line
            port.dtr = True  # some boards send nothing unless the host raises this line
        self._serial, self._lost, self._closing = port, "", False
        self._chunks.clear()
        self._reader = threading.Thread(target=self._read, args=(port,), daemon=True)
        self._reader.start()

    def send(self, data: bytes) -> None:
        """Send bytes. Raises PortLostError if that fails."""
        if self._serial is None or self._lost:
            raise PortLostError(self._lost or "its port is not open")
        try:
            self._serial.write(data)
        except OSError as error:  # the base class of all errors of pyserial
            raise PortLostError(f"its port accepts no data: {error}") from error

    def take(self) -> list[tuple[int, bytes]]:
        """Return the chunks of bytes since the last call, each with its time of arrival.

        Times are of the host's monotonic clock, ns. Raises PortLostError if the port is lost and
        all bytes that it received were returned.
        """
        self._arrived.clear()
        chunks = [self._chunks.popleft() for _ in range(len(self._chunks))]
        if not chunks and self._lost:
            raise PortLostError(self._lost)
        return chunks

    def wait(self, seconds: float) -> None:
        """Wait until bytes arrive or the port is lost, or until `seconds` have passed."""
        self._arrived.wait(seconds)

    def close(self) -> None:
        """Close the port. May be called twice, or without `open`."""
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
                self._lost = f"its port is gone ({error})"
                self._arrived.set()
                return
            if data:
                self._chunks.append((monotonic_ns(), data))
                self._arrived.set()


def _path_of(usb_serial: str) -> str:
    from serial.tools import list_ports

    ports = list(list_ports.comports())
    for port in ports:
        if port.serial_number == usb_serial:
            return str(port.device)
    known = ", ".join(f"{p.serial_number} ({p.device})" for p in ports if p.serial_number)
    raise Refused(
        f"no USB device with serial number {usb_serial!r} is plugged in (found: "
        f"{known or 'none'}); plug it in, or correct usb_serial"
    )
