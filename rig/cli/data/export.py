"""rig export: write sessions in formats that other programs read."""

from collections.abc import Callable, Iterator
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from analysis.export.raw_pages import RawPages
from rig.cli.data.manifest import check_manifest
from rig.cli.data.one_writer import one_writer
from rig.cli.sessions.completeness_notice import INCOMPLETE
from rig.cli.sessions.run import Data
from rig.cli.sessions.session_argument import session_in
from rig.cli.terminal import new_console
from rig.errors import Refused
from rig.session.continuation import never_began
from rig.settings.config import EXPORT_FOLDER, SETTINGS_FILE, read_session
from rig.subjects.record import Subject, find
from rig.subjects.session_identity import changed_files, check_one_session
from rig.transport.log import LOG_FILE

if TYPE_CHECKING:
    from analysis.export.contents import Contents


class Format(StrEnum):
    """The formats that `rig export` can write."""

    NWB = "nwb"
    LAB = "lab"
    ALF = "alf"
    CSV = "csv"
    PARQUET = "parquet"


class _Options(NamedTuple):
    """The options of one call of `rig export`."""

    data: Path
    exp_type: str
    day: int | None
    birth_date: str
    sex: str
    genotype: str
    experimenter: str
    tiffs: RawPages
    partial: bool


Arguments = Annotated[
    list[str],
    typer.Argument(
        metavar="[SESSION_DIR] FORMAT",
        help="A session folder, and nwb, lab (the study's own files), alf, csv or parquet.",
    ),
]
OfSubject = Annotated[
    str,
    typer.Option("--subject", help="Export every session of this animal instead of one folder."),
]
To = Annotated[
    Path | None, typer.Option(help="Folder to write to; default: export/FORMAT in the session.")
]
ExpType = Annotated[
    str, typer.Option(help="lab: the study's session type, such as sup_train1_after_learning.")
]
Day = Annotated[
    int | None,
    typer.Option(
        help="lab: N of _dayN, behavior-only cohorts; default: counted from earlier sessions.",
        min=0,
        show_default=False,
    ),
]
BirthDate = Annotated[
    str, typer.Option(help="nwb: the animal's birth date, YYYY-MM-DD; default: as recorded.")
]
Sex = Annotated[
    str, typer.Option(help="nwb: M, F, U (unknown) or O (other); default: as recorded, or U.")
]
Genotype = Annotated[str, typer.Option(help="nwb: the animal's genotype; default: as recorded.")]
Experimenter = Annotated[
    str, typer.Option(help='nwb: the experimenter, such as "Doe, Jane"; default: as recorded.')
]
Tiffs = Annotated[
    RawPages, typer.Option(help="nwb: link the TIFFs, embed the raw pages in the file, or none.")
]
Partial = Annotated[
    bool,
    typer.Option(
        "--partial", help="Export what is there of an incomplete session, marked as incomplete."
    ),
]


def export(
    arguments: Arguments,
    data: Data,
    subject: OfSubject = "",
    to: To = None,
    exp_type: ExpType = "",
    day: Day = None,
    birth_date: BirthDate = "",
    sex: Sex = "",
    genotype: Genotype = "",
    experimenter: Experimenter = "",
    tiffs: Tiffs = RawPages.LINK,
    partial: Partial = False,
) -> None:
    """Export sessions as NWB, the study's own files, ALF, CSV or Parquet.

    Exit code: 1 if --partial exported a session that is incomplete or was changed.
    """
    *named, kind = arguments
    if kind not in list(Format):
        raise Refused(f"{kind!r} is not a format; choose one of {', '.join(Format)}")
    options = _Options(data, exp_type, day, birth_date, sex, genotype, experimenter, tiffs, partial)
    console = new_console()
    if not subject:
        if not _export(_named(named), Format(kind), to, options, console):
            raise typer.Exit(INCOMPLETE)
        return
    if named:
        raise Refused("give a session folder or --subject NAME, not both")
    sessions = _sessions_of(subject, data)
    refused, intact = 0, True
    for session in sessions:
        own = to / session.name if to and kind in (Format.CSV, Format.PARQUET) else to
        try:
            intact &= _export(session_in(session), Format(kind), own, options, console)
        except Refused as refusal:
            console.print(f"{session.name} was not exported: {escape(str(refusal))}")
            refused += 1
    if refused:
        raise Refused(f"{refused} of {len(sessions)} sessions of {subject} were not exported")
    if not intact:
        raise typer.Exit(INCOMPLETE)


def _named(named: list[str]) -> Path:
    if len(named) != 1:
        raise Refused(
            "name one session folder and a format, as in: rig export DIR nwb, or --subject NAME "
            "and a format"
        )
    return session_in(Path(named[0]))


def _sessions_of(subject: str, data: Path) -> list[Path]:
    """Return the session folders of an animal, oldest first. Raises Refused if there is none.

    For a continued session this is the folder of its last part, which is read together with the
    earlier parts. A part that ended before it began is left out.
    """
    folders = (data / f"sub-{subject}").glob("ses-*")
    found = sorted(folders, key=lambda path: (len(path.name), path.name))
    if not found:
        raise Refused(f"{data} has no session of {subject}; check the name, or give --data")
    ids = {folder: _ids(folder) for folder in found}
    begun = {f: own for f, (own, earlier) in ids.items() if not (earlier and never_began(f))}
    continued = {ids[folder][1] for folder in begun} - {""}
    return [folder for folder, own in begun.items() if own not in continued]


def _ids(folder: Path) -> tuple[str, str]:
    """Return the id of a session, and the id of the session that it continues."""
    try:
        session = read_session(folder)
    except Refused:
        return "", ""
    return session.id, session.continues


def _export(
    session: Path, kind: Format, to: Path | None, options: _Options, console: Console
) -> bool:
    """Write one session in one format, and print the folder.

    Returns False, after printing why, if the session is incomplete or was changed.
    """
    from analysis.export.contents import read_contents

    folder = (to or session / EXPORT_FOLDER / kind).resolve()
    _check_target(folder)
    wrong = list(_changed(session, options.partial))
    contents = read_contents(session, options.partial)
    if kind == Format.NWB and options.tiffs != RawPages.NONE:
        from analysis.export.nwb_imaging import missing_tiffs

        wrong += [f"{session / name} is missing" for name in missing_tiffs(contents)]
    if contents.missing:
        wrong.append(f"{session.name} is incomplete: {contents.missing}")
    for text in wrong:
        console.print(Text(text, "bold red"), soft_wrap=True)
    with one_writer(folder):  # the study's files are extended, after they were read
        written = _WRITERS[kind](contents, folder, options)
    files = "file" if len(written) == 1 else "files"
    text = f"{session.name}: {len(written)} {files} in {escape(str(folder))}"
    console.print(text, soft_wrap=True)
    if kind == Format.LAB:
        from analysis.export.lab import warnings

        for warning in warnings(contents):
            console.print(f"{session.name}: {warning}", style="yellow", soft_wrap=True)
    return not wrong


def _changed(session: Path, partial: bool) -> Iterator[str]:
    """Yield what was changed in the parts of a session. Raises Refused unless `partial`."""
    from analysis.session.parts import parts_of

    for part in parts_of(session):
        if not partial:
            check_manifest(part.folder)
        check_one_session(part.folder)
        for text in changed_files(part.folder):
            if not partial:
                raise Refused(f"{part.folder}: {text}; or export what is there: --partial")
            yield f"{part.folder}: {text}"


def _check_target(folder: Path) -> None:
    """Raise Refused if a folder is inside a session folder, but not in its folder for exports."""
    for parent in (folder, *folder.parents):
        is_session = (parent / LOG_FILE).exists() or (parent / SETTINGS_FILE).exists()
        if is_session and not folder.is_relative_to(parent / EXPORT_FOLDER):
            raise Refused(
                f"{folder} is inside the session folder {parent}; export to {EXPORT_FOLDER}/ in "
                "it (the default), or to a folder outside"
            )


def _write_nwb(contents: "Contents", folder: Path, options: _Options) -> list[Path]:
    from analysis.export.nwb import SubjectFacts, write_nwb

    animal = _recorded(contents.subject, contents.session.folder.parents[1], options.data)
    facts = SubjectFacts(
        birth_date=_birth_date(options.birth_date or animal.birth_date, contents.subject),
        sex=options.sex or animal.sex or "U",
        genotype=options.genotype or animal.genotype,
        experimenter=options.experimenter or animal.experimenter,
    )
    return [write_nwb(contents, folder, facts, options.tiffs, options.partial)]


def _write_lab(contents: "Contents", folder: Path, options: _Options) -> list[Path]:
    from analysis.export.lab import write_lab

    return write_lab(contents, folder, options.exp_type, options.day)


def _write_alf(contents: "Contents", folder: Path, options: _Options) -> list[Path]:
    from analysis.export.alf import write_alf

    return write_alf(contents, folder)


def _write_csv(contents: "Contents", folder: Path, options: _Options) -> list[Path]:
    from analysis.export.tables import write_tables

    return write_tables(contents, folder, "csv")


def _write_parquet(contents: "Contents", folder: Path, options: _Options) -> list[Path]:
    from analysis.export.tables import write_tables

    return write_tables(contents, folder, "parquet")


_WRITERS: dict[Format, Callable[["Contents", Path, _Options], list[Path]]] = {
    Format.NWB: _write_nwb,
    Format.LAB: _write_lab,
    Format.ALF: _write_alf,
    Format.CSV: _write_csv,
    Format.PARQUET: _write_parquet,
}


def _recorded(name: str, beside: Path, data: Path) -> Subject:
    """Return an animal from the record beside its sessions or in --data, or an unknown animal."""
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
