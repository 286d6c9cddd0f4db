"""A lock, so that only one command at a time writes to a folder."""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rig.transport.private_folder import lock, open_private, private_folder

_RETRY_S = 0.1
"""Time between two attempts to take the lock, s."""


@contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """Wait until no other command of this user writes to a folder, then keep others waiting.

    The lock is outside the folder, and is released by the system if its holder dies.
    """
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    with os.fdopen(open_private(private_folder() / f"writes-{digest}.lock"), "r+") as file:
        while True:
            try:
                lock(file)
                break
            except OSError:
                time.sleep(_RETRY_S)
        yield
