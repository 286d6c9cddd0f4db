"""Reads a file of unknown origin in a process of its own, which alone is killed if it kills."""

import json
import select
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.files.vendor_reader import ClosedFile
from rig.errors import Refused

_CHUNK_BYTES = 1 << 20


class ForeignFile:
    """A closed file, read by another process; else as ClosedFile."""

    def __init__(self, path: Path, patience_s: float = 60.0) -> None:
        """Start the process and have it open the file.

        Raises Refused as ClosedFile does, and if the process dies or does not answer in time.
        """
        self.path, self._patience_s = path, patience_s
        self._process = subprocess.Popen(
            [sys.executable, "-m", "acquisition.files.isolated_reader", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._ahead = b""
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

        Raises Refused if they are not there, or if reading them kills the reader.
        """
        if self._process.stdin is None or self._process.poll() is not None:
            raise self._died()
        try:
            self._process.stdin.write(f"{first} {after}\n".encode())
        except OSError as error:
            raise self._died() from error
        size = int(self._answer()["bytes"])
        raw = self._bytes(size, time.monotonic() + self._patience_s)
        return np.frombuffer(raw, self.dtype).reshape(after - first, *self.shape)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> "ForeignFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def _answer(self) -> dict[str, Any]:
        """Return the next line that the process says."""
        deadline = time.monotonic() + self._patience_s
        while b"\n" not in self._ahead:
            self._ahead += self._more(deadline)
        line, _, self._ahead = self._ahead.partition(b"\n")
        said: dict[str, Any] = json.loads(line)
        if "refused" in said:
            raise Refused(said["refused"])
        return said

    def _bytes(self, count: int, deadline: float) -> bytes:
        parts, have = [self._ahead], len(self._ahead)
        while have < count:
            parts.append(self._more(deadline))
            have += len(parts[-1])
        raw = b"".join(parts)
        self._ahead = raw[count:]
        return raw[:count]

    def _more(self, deadline: float) -> bytes:
        pipe = self._process.stdout
        left_s = deadline - time.monotonic()
        if pipe is None or left_s <= 0 or not select.select([pipe], [], [], left_s)[0]:
            raise Refused(
                f"{self.path} keeps ScanImage's reader busy for more than {self._patience_s:g} s; "
                "it is damaged: rig tiff repair"
            )
        chunk: bytes = pipe.read(_CHUNK_BYTES)
        if not chunk:
            raise self._died()
        return chunk

    def _died(self) -> Refused:
        code = self._process.wait()
        return Refused(
            f"{self.path} kills ScanImage's reader (exit code {code}); it is damaged: "
            "rig tiff repair"
        )


def _serve(path: Path) -> None:
    """Be that process: say what the file is, then answer each `FIRST AFTER` line with pages."""
    out = sys.stdout.buffer

    def publish(said: dict[str, Any]) -> None:
        out.write(json.dumps(said).encode() + b"\n")
        out.flush()

    try:
        with ClosedFile(path) as file:
            publish({"pages": len(file), "shape": file.shape, "dtype": file.dtype})
            for line in sys.stdin:
                first, after = map(int, line.split())
                raw = file.read(first, after).tobytes()
                publish({"bytes": len(raw)})
                out.write(raw)
                out.flush()
    except Refused as refusal:
        publish({"refused": str(refusal)})


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
