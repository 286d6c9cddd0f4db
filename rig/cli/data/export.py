"""rig export: write sessions in formats that other programs read."""

from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from rig.cli.data.manifest import check_manifest
from rig.cli.sessions.run import Data
from rig.cli.sessions.session_argument import session_in
from rig.cli.terminal import new_console
from rig.errors import Refused
from rig.subjects.record import Subject, find

EXPORT_FOLDER = "export"


class Format(StrEnum):
    """What `rig export` can write."""

    NWB = "nwb"
    LAB = "lab"
    ALF = "alf"
    CSV = "csv"
    PARQUET = "parquet"


def export(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[SESSION_DIR] FORMAT",
            help="A session folder, and nwb, lab (the study's own files), alf, csv or parquet.",
        ),
    ],
    data: Data,
    subject: Annotated[
        str, typer.Option(help="Export every session of this animal instead of one folder.")
    ] = "",
    to: Annotated[
        Path | None, typer.Option(help="Where to write [export/FORMAT in the session folder].")
    ] = None,
    exp_type: Annotated[
        str,
        typer.Option(help="lab: the study's session type, such as sup_train1_after_learning."),
    ] = "",
    birth_date: Annotated[
        str, typer.Option(help="nwb: the animal's birth date, YYYY-MM-DD [from its record].")
    ] = "",
    sex: Annotated[
        str, typer.Option(help="nwb: M, F, U (unknown) or O (other) [from its record, else U].")
    ] = "",
    genotype: Annotated[
        str, typer.Option(help="nwb: the animal's genotype [from its record].")
    ] = "",
    experimenter: Annotated[
        str, typer.Option(help='nwb: such as "Doe, Jane" [from its record].')
    ] = "",
    partial: Annotated[
        bool, typer.Option("--partial", help="Export an incomplete session, marked as incomplete.")
    ] = False,
) -> None:
    """Export sessions as NWB, the study's own files, ALF, CSV or Parquet."""
    from analysis.export.contents import Contents, read_contents

    *named, kind = arguments
    if kind not in list(Format):
        raise Refused(f"{kind!r} is not a format; choose one of {', '.join(Format)}")

    def write(contents: Contents, folder: Path) -> int:
        if kind == Format.LAB:
            from analysis.export.lab import write_lab

            return len(write_lab(contents, folder, exp_type))
        if kind == Format.ALF:
            from analysis.export.alf import write_alf

            return len(write_alf(contents, folder))
        if kind == Format.NWB:
            from analysis.export.nwb import SubjectFacts, write_nwb

            animal = _recorded(contents.subject, folders[0].parents[1], data)
            facts = SubjectFacts(
                birth_date=_birth_date(birth_date or animal.birth_date, contents.subject),
                sex=sex or animal.sex or "U",
                genotype=genotype or animal.genotype,
                experimenter=experimenter or animal.experimenter,
            )
            write_nwb(contents, folder, facts)
            return 1
        from analysis.export.tables import write_tables

        return len(write_tables(contents, folder, kind))

    console = new_console()
    folders = list(_sessions(named, subject, data))
    for session in folders:
        if not partial:
            check_manifest(session)
        contents = read_contents(session, partial)
        folder = (to or session / EXPORT_FOLDER / kind).resolve()
        if to is not None and subject and kind in (Format.CSV, Format.PARQUET):
            folder /= session.name
        count = write(contents, folder)
        files = "file" if count == 1 else "files"
        console.print(f"{session.name}: {count} {files} in {escape(str(folder))}", soft_wrap=True)


def _sessions(named: list[str], subject: str, data: Path) -> Iterator[Path]:
    if bool(named) == bool(subject) or len(named) > 1:
        raise Refused(
            "name one session folder and a format, as in: rig export DIR nwb, or --subject NAME "
            "and a format"
        )
    if named:
        yield session_in(Path(named[0]))
        return
    folders = sorted((data / f"sub-{subject}").glob("ses-*"))
    if not folders:
        raise Refused(f"{data} has no session of {subject}; check the name, or give --data")
    yield from map(session_in, folders)


def _recorded(name: str, beside: Path, data: Path) -> Subject:
    """Return an animal from the record beside its sessions, or from that of --data, or unknown."""
    unknown = Subject(name, "", "", 0.0, restricted=False, need_ml=0.0)
    return find(beside, name) or find(data, name) or unknown


def _birth_date(text: str, subject: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        what = f"{text!r} is not a date" if text else f"the birth date of {subject} is not known"
        raise Refused(
            f"{what}; NWB needs it: --birth-date YYYY-MM-DD, here or once for all sessions: "
            f"rig subject edit {subject} --birth-date YYYY-MM-DD"
        ) from None
