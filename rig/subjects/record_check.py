"""A file beside the record that says what the record holds, so that no older copy passes for it.

A copy from a backup, the file of another data folder, or a stale rollback journal is a sound
database, whose water is lower than the truth. The file holds the digest of the record's rows as
they were written last, one a line: two while a transaction reaches the disk, of before and after.
"""

import os
from pathlib import Path

from rig.errors import Refused

CHECK_FILE = "subjects.digest"
_REMEDY = (
    "put the right one back; or, to go on without what it lacks, delete {check}, and enter the "
    "water that was given since by hand (rig subject give)"
)


def check_is_latest(record: Path, digest: str | None) -> None:
    """Check that a record is as it was written last. Raises Refused.

    It becomes the one that was written last if there was none.

    Args:
        record: The record's file, which nobody else writes meanwhile.
        digest: The digest of its rows; None if it holds nothing yet.
    """
    check = record.with_name(CHECK_FILE)
    remedy = _REMEDY.format(check=check)
    if check.exists() and not check.is_file():
        raise Refused(f"{check} is not a file; {remedy}")
    try:
        written = set(check.read_bytes().split())
    except FileNotFoundError:
        written = set()
    except OSError as error:
        raise Refused(f"{check} cannot be read ({error}); check the disk") from error
    if written and digest is None:
        raise Refused(f"the record {record} is missing or empty; {remedy}")
    if written and digest is not None and digest.encode() not in written:
        raise Refused(f"the record {record} is not as it was written last; {remedy}")
    if digest is not None and written != {digest.encode()}:
        write_digests(record, digest)


def write_digests(record: Path, *digests: str) -> None:
    """Note what a record may hold from now on, on disk. Raises Refused."""
    check = record.with_name(CHECK_FILE)
    part = check.with_name(f".part.{CHECK_FILE}")
    try:
        with part.open("wb") as file:
            file.write("".join(f"{digest}\n" for digest in digests).encode())
            file.flush()
            os.fsync(file.fileno())
        part.replace(check)
        _sync_name(check)
    except OSError as error:
        raise Refused(
            f"the record {record} cannot be written ({error}); check that the disk has room and "
            "may be written to"
        ) from error


def _sync_name(path: Path) -> None:
    """Have the disk hold the name of a file."""
    if os.name == "posix":  # elsewhere a folder cannot be opened, and the system sees to it
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
