"""The manifest of a session folder: the size and SHA-256 of every file."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from rig.errors import Refused
from rig.settings.config import EXPORT_FOLDER

MANIFEST_FILE = "MANIFEST.json"
_BLOCK_BYTES = 4 * 1024 * 1024
COPIES_FILE = "copies.txt"
"""Name of the file that lists the folders to which a session was copied, one per line."""
_DERIVED = ("report.html", "found_cells.npy")
"""Files that can be made again from the others, and may then differ."""


class Entry(msgspec.Struct, frozen=True):
    """One file of a session."""

    bytes: int
    sha256: str


Manifest = dict[str, Entry]
"""Entries by path, relative to the session folder, with forward slashes."""


def session_files(folder: Path) -> list[str]:
    """Return the files of a session that its manifest lists, sorted.

    A link counts as the file or folder that it names. Raises Refused if that does not exist.
    """
    found = []
    for path in _files_in(folder, set()):
        relative = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in relative.parts)
        if hidden or relative.parts[0] == EXPORT_FOLDER:
            continue
        if not path.exists():
            raise Refused(
                f"{path} is a link to {path.readlink()}, which does not exist; restore it"
            )
        found.append(relative.as_posix())
    return sorted(name for name in found if name not in (MANIFEST_FILE, COPIES_FILE))


def _files_in(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """Yield the files below a folder; each folder to which links lead is entered once."""
    real = folder.resolve()
    if real in seen:
        return
    seen.add(real)
    for path in folder.iterdir():
        if path.is_dir():
            yield from _files_in(path, seen)
        elif path.is_file() or path.is_symlink():
            yield path


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, read in blocks. Raises OSError if it cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def manifest_of(folder: Path) -> Manifest:
    """Return the manifest of a session folder as it is now. Raises OSError if that fails."""
    return {
        name: Entry((folder / name).stat().st_size, sha256_of(folder / name))
        for name in session_files(folder)
    }


def check_manifest(folder: Path) -> None:
    """Check a session against its manifest, if it has one.

    Raises Refused if a file was lost or changed since the session was recovered or copied.
    """
    if not (folder / MANIFEST_FILE).exists():
        return
    kept = {name: one for name, one in read_manifest(folder).items() if name not in _DERIVED}
    for what in differences(folder, kept):
        raise Refused(
            f"{folder}: {what}, although its {MANIFEST_FILE} lists it; restore it from a copy, or "
            f"delete {MANIFEST_FILE} to continue with the existing files"
        )


def copy_file(source: Path, target: Path) -> Entry:
    """Copy a file under a temporary name, sync it, and return the entry of the source.

    Raises OSError if that fails.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".part.{target.name}")
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as reader, part.open("wb") as writer:
        while block := reader.read(_BLOCK_BYTES):
            digest.update(block)
            writer.write(block)
            size += len(block)
        writer.flush()
        os.fsync(writer.fileno())
    part.replace(target)
    return Entry(size, digest.hexdigest())


def read_manifest(folder: Path) -> Manifest:
    """Read a folder's manifest. Raises Refused if there is none, or it is damaged."""
    path = folder / MANIFEST_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise Refused(
            f"{folder} has no {MANIFEST_FILE}: its copy was not finished; run rig copy again"
        ) from None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refused(
            f"{path} is damaged ({error}); run rig copy again, or rig recover after deleting it"
        ) from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write a folder's manifest completely or not at all, and sync it. Raises OSError."""
    part = folder / f".part.{MANIFEST_FILE}"
    with part.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest)))
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / MANIFEST_FILE)


def differences(folder: Path, manifest: Manifest) -> Iterator[str]:
    """Yield a sentence for each file of a folder that differs from the manifest."""
    for name, entry in manifest.items():
        path = folder / name
        if not path.is_file():
            yield f"{name} is missing"
        elif path.stat().st_size != entry.bytes or sha256_of(path) != entry.sha256:
            yield f"{name} was changed"
