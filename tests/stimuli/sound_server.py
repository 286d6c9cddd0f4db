"""A PulseAudio server without a device, which writes its output to a file."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes.util import find_library
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SAMPLE_HZ = 48_000
INSTALL = "apt-get install libportaudio2 pulseaudio libasound2-plugins"


def missing() -> str | None:
    """Return a sentence on what this machine lacks to run the server, or None."""
    lack = [f"lib{name}" for name in ("portaudio", "asound") if find_library(name) is None]
    if shutil.which("pulseaudio") is None:
        lack.append("pulseaudio")
    if not [*Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")]:
        lack.append("the ALSA plugin for it")
    return f"{' and '.join(lack)} missing: {INSTALL}" if lack else None


class Server:
    """A running server."""

    def __init__(self, folder: Path) -> None:
        self._recording = folder / "recording"
        (folder / ".asoundrc").write_text(
            "pcm.!default { type pulse }\nctl.!default { type pulse }\n"
        )
        socket = folder / "socket"
        self.env = {**os.environ, "PULSE_SERVER": f"unix:{socket}"}
        self.env |= {name: str(folder) for name in ("HOME", "XDG_RUNTIME_DIR")}
        sink = f"module-pipe-sink file={folder / 'pipe'} format=float32le rate={SAMPLE_HZ} "
        sink += "channels=2 use_system_clock_for_timing=yes"
        entry = f"module-native-protocol-unix auth-anonymous=1 socket={socket}"
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1"]
        command += ["--use-pid-file=no", "--disable-shm=yes", "-L", sink, "-L", entry]
        self.process = subprocess.Popen(command, env=self.env, stderr=subprocess.DEVNULL)
        while not socket.exists():
            assert self.process.poll() is None, "the sound server does not start"
            time.sleep(0.01)
        with self._recording.open("wb") as recording:
            self._reader = subprocess.Popen(["cat", str(folder / "pipe")], stdout=recording)

    def received(self) -> NDArray[np.float32]:
        """Stop it; return everything that was played: samples x 2 channels."""
        self.stop()
        return np.fromfile(self._recording, np.float32).reshape(-1, 2)

    def stop(self) -> None:
        """Stop it."""
        self.process.terminate()
        self.process.wait()
        self._reader.wait()


@contextmanager
def sound_server(folder: Path) -> Iterator[Server]:
    """Run a server with its files in that folder."""
    server = Server(folder)
    try:
        yield server
    finally:
        server.stop()
