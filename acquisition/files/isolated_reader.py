"""Read a file of unknown origin in a separate process, so that a crash ends only that process."""

import json
import queue
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from threading import Thread
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from acquisition.files.vendor_reader import ClosedFile
from rig.errors import Refused

_CHUNK_BYTES = 1 << 20


class IsolatedFile:
    """A closed file, read by another process; used like ClosedFile."""

    def __init__(self, path: Path, timeout_s: float = 60.0) -> None:
        """Start the process, which opens the file.

        Raises Refused as ClosedFile does, or if the process dies or does not answer in time.
        """
        self.path, self._timeout_s = path, timeout_s
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "acquisition.files.isolated_reader", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._chunks: queue.Queue[bytes] = queue.Queue(maxsize=4)
        self._ahead = b""
        # A thread reads the pipe, because Windows cannot wait for a pipe with a timeout.
        self._pump = Thread(target=_pump, args=(self._process.stdout, self._chunks), daemon=True)
        self._pump.start()
        try:
            opened = self._answer()
        except BaseException:
            self.close()
            raise
        self.shape: tuple[int, int] = tuple(opened["shape"])
        self.dtype = str(opened["dtype"])
        self._pages = int(opened["pages"])

    def __len__(self) -> int:
        return self._pages

    def read(self, first: int, after: int) -> NDArray[Any]:
        """Return pages first to after - 1: (pages, height_px, width_px).

        Raises Refused if they do not exist, or if reading them crashes the reader.
        """
        if self._process.stdin is None or self._process.poll() is not None:
            raise self._died()
        try:
            self._process.stdin.write(f"{first} {after}\n".encode())
        except OSError as error:
            raise self._died() from error
        size = int(self._answer()["bytes"])
        raw = self._bytes(size, time.monotonic() + self._timeout_s)
        return np.frombuffer(raw, self.dtype).reshape(after - first, *self.shape)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        while self._pump.is_alive():  # the thread may wait for space in the queue
            try:
                self._chunks.get(timeout=0.05)
            except queue.Empty:
                continue
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _answer(self) -> dict[str, Any]:
        """Return the next line of the process."""
        deadline = time.monotonic() + self._timeout_s
        while b"\n" not in self._ahead:
            self._ahead += self._more(deadline)
        line, _, self._ahead = self._ahead.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        if "refused" in answer:
            raise Refused(answer["refused"])
        return answer

    def _bytes(self, count: int, deadline: float) -> bytes:
        parts, have = [self._ahead], len(self._ahead)
        while have < count:
            parts.append(self._more(deadline))
            have += len(parts[-1])
        raw = b"".join(parts)
        self._ahead = raw[count:]
        return raw[:count]

    def _more(self, deadline: float) -> bytes:
        try:
            chunk = self._chunks.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise Refused(
                f"{self.path} keeps ScanImage's reader busy for over {self._timeout_s:g} s and "
                "is probably damaged; run rig tiff repair"
            ) from None
        if not chunk:
            raise self._died()
        return chunk

    def _died(self) -> Refused:
        code = self._process.wait()
        return Refused(
            f"{self.path} crashes ScanImage's reader (exit code {code}) and is probably damaged; "
            "run rig tiff repair"
        )


def _pump(pipe: IO[bytes], chunks: "queue.Queue[bytes]") -> None:
    """Move the output of a process into a queue; an empty chunk marks the end."""
    while chunk := pipe.read(_CHUNK_BYTES):
        chunks.put(chunk)
    chunks.put(b"")


def _serve(path: Path) -> None:
    """Run as the separate process: describe the file, then answer each `FIRST AFTER` line with
    pages."""
    out = sys.stdout.buffer

    def answer(values: dict[str, Any]) -> None:
        out.write(json.dumps(values).encode() + b"\n")
        out.flush()

    try:
        with closing(ClosedFile(path)) as file:
            answer({"pages": len(file), "shape": file.shape, "dtype": file.dtype})
            for line in sys.stdin:
                first, after = map(int, line.split())
                raw = file.read(first, after).tobytes()
                answer({"bytes": len(raw)})
                out.write(raw)
                out.flush()
    except Refused as refusal:
        answer({"refused": str(refusal)})


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
