"""A fake of the sounddevice library, whose stream asks for a block when the test calls `block`."""

from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray


class PortAudioError(Exception):
    """The error of the library."""


class OutputStream:
    """An output stream without a thread."""

    opened: ClassVar[list["OutputStream"]] = []
    lack: ClassVar[str] = ""
    latency = 0.02
    reports_times: ClassVar[bool] = True

    def __init__(self, **options: Any) -> None:
        if self.lack:
            raise PortAudioError(self.lack)
        self.options, self.started, self.closed = options, False, False
        self.opened.append(self)

    def start(self) -> None:
        self.started = True

    def close(self) -> None:
        self.closed = True

    def block(self, frames: int, dry: bool = False) -> NDArray[np.float32]:
        """Ask for a block that will sound 8 ms from now, as the library's thread does.

        dry: the device had no data left before it (an underflow).
        """
        assert self.started and not self.closed
        out = np.full((frames, self.options["channels"]), np.nan, np.float32)
        times = (3.008, 3.0) if self.reports_times else (0.0, 0.0)
        time = SimpleNamespace(outputBufferDacTime=times[0], currentTime=times[1])
        self.options["callback"](out, frames, time, SimpleNamespace(output_underflow=dry))
        return out
