"""rig copy and rig prune: copy sessions to another disk, and delete TIFFs that were copied."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress
from rich.text import Text

from rig.cli.data.manifest import (
    COPIES_FILE,
    Entry,
    Manifest,
    check_manifest,
    copy_file,
    differences,
    read_manifest,
    session_files,
    sha256_of,
    write_manifest,
)
from rig.cli.sessions.completeness_notice import INCOMPLETE, check_files, check_log
from rig.cli.sessions.end_summary import SUMMARY_FILE
from rig.cli.sessions.session_argument import SessionDir, session_in
from rig.cli.terminal import new_console
from rig.errors import Refused
from rig.settings.config import SETTINGS_FILE
from rig.transport.frame_pixels import IMAGING_FOLDER, imaging_file

_IMAGING_SUFFIXES = (".tif", ".tiff")


def copy(
    folder: SessionDir,
    destination: Annotated[
        Path, typer.Argument(metavar="DEST", help="Data folder to copy to, on another disk.")
    ],
) -> None:
    """Copy a session to another data folder, and verify every byte of the copy.

    TIFFs that the microscope saved elsewhere are copied into its folder imaging.

    Can be interrupted and repeated: identical files are not copied again.

    Nothing is deleted. MANIFEST.json is written last: without it, a copy is unfinished.

    Exit code: 1 if it was copied, but is incomplete or was changed before.
    """
    folder = session_in(folder)
    intact = check_log(folder, new_console()).whole
    intact &= check_files(folder, new_console())
    check_manifest(folder)
    intact &= _has_all_files(folder)
    target = destination / folder.parent.name / folder.name
    if target.resolve() == folder:
        raise Refused(f"{destination} is where the session already is; choose another folder")
    if target.resolve().is_relative_to(folder):
        raise Refused(f"{destination} is inside the session folder; choose a folder outside")
    names, manifest = session_files(folder), Manifest()
    sources = {name: folder / name for name in names} | outside_tiffs(folder)
    try:
        with Progress(console=new_console()) as progress:
            for name in progress.track(sorted(sources), description=folder.name):
                manifest[name] = _copied(sources[name], target / name)
        wrong = list(differences(target, manifest))
        if wrong:
            raise Refused(f"the copy in {target} is damaged: {wrong[0]}; run rig copy again")
        write_manifest(target, manifest)
        write_manifest(folder, {name: manifest[name] for name in names})
        with (folder / COPIES_FILE).open("a", encoding="utf-8") as file:
            file.write(f"{target.resolve()}\n")
    except OSError as error:
        raise Refused(
            f"copying stopped ({error}); what was copied stays in {target}; run rig copy again"
        ) from error
    size = sum(entry.bytes for entry in manifest.values())
    new_console().print(
        f"copied and verified: {len(manifest)} files, {size / 1e6:.1f} MB, to {target}",
        soft_wrap=True,
        markup=False,
    )
    if not intact:
        raise typer.Exit(INCOMPLETE)


def prune(
    folder: SessionDir,
    copied: Annotated[
        Path, typer.Argument(metavar="COPY", help="The session folder that rig copy made.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a session's TIFFs from the rig after verifying that the copy has them.

    Log, settings and summary stay. The copy is read whole and compared with its manifest first.
    """
    folder, copied = session_in(folder), session_in(copied)
    if copied == folder:
        raise Refused("the copy is the session itself; name the folder that rig copy made")
    manifest = read_manifest(copied)
    wrong = list(differences(copied, manifest))
    if wrong:
        raise Refused(f"nothing was deleted: in {copied} {wrong[0]}; run rig copy again")
    inside = [n for n in session_files(folder) if n.lower().endswith(_IMAGING_SUFFIXES)]
    tiffs = {name: folder / name for name in inside} | outside_tiffs(folder)
    for name, path in tiffs.items():
        if manifest.get(name) != _entry(path):
            raise Refused(f"nothing was deleted: the copy lacks {path}; run rig copy again")
        if (copied / name).resolve() == path.resolve():
            raise Refused(f"nothing was deleted: {copied / name} is a link to {path}, not a copy")
    if not tiffs:
        raise Refused(f"{folder} has no TIFF; nothing to delete")
    size = sum(manifest[name].bytes for name in tiffs)
    what = f"{len(tiffs)} TIFF{'s' * (len(tiffs) > 1)} ({size / 1e6:.1f} MB)"
    places = " and ".join(sorted({str(path.parent) for path in tiffs.values()}))
    if not yes and not typer.confirm(f"delete {what} in {places}?"):
        raise typer.Exit(1)
    for path in tiffs.values():
        path.unlink()
    write_manifest(folder, {k: v for k, v in manifest.items() if (folder / k).is_file()})
    new_console().print(Text(f"deleted {what}; the copy is in {copied}"), soft_wrap=True)


def outside_tiffs(folder: Path) -> dict[str, Path]:
    """Return the TIFFs of a session that are outside its folder, by their name in a copy."""
    from acquisition.files.session_tiffs import streamed_files

    paths = [imaging_file(folder, name) for name in streamed_files(folder)]
    outside = [p for p in paths if p.is_file() and not p.absolute().is_relative_to(folder)]
    return {f"{IMAGING_FOLDER}/{path.name}": path for path in outside}


def _has_all_files(folder: Path) -> bool:
    """Return whether all TIFFs of a session exist, after printing which files are missing."""
    from acquisition.files.session_tiffs import streamed_files
    from acquisition.files.suite2p_ops import OPS_FILE

    streamed = streamed_files(folder)
    lost = [name for name in streamed if not imaging_file(folder, name).is_file()]
    for name in lost:
        text = f"{folder / name} is missing, and is not copied"
        new_console().print(Text(text, "bold red"), soft_wrap=True)
    derived = [SETTINGS_FILE, SUMMARY_FILE]
    if any((folder / IMAGING_FOLDER).glob("*.tif*")):
        derived.append(f"{IMAGING_FOLDER}/{OPS_FILE}")
    for name in derived:
        if not (folder / name).exists():
            text = f"{name} is missing; write it again: rig recover {folder}"
            new_console().print(Text(text, "yellow"), soft_wrap=True)
    return not lost


def _copied(source: Path, target: Path) -> Entry:
    """Copy a file, unless there is an identical copy; return its entry."""
    if target.is_file() and target.stat().st_size == source.stat().st_size:
        entry = _entry(source)
        if sha256_of(target) == entry.sha256:
            return entry
    return copy_file(source, target)


def _entry(path: Path) -> Entry:
    return Entry(path.stat().st_size, sha256_of(path))
