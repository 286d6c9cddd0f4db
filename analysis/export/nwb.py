"""Export to Neurodata Without Borders (NWB 2): one file a session, with core types only.

The file is written under a temporary name, read back, checked and inspected, and only then renamed,
because an HDF5 file whose writing was interrupted cannot be read at all.
"""

import json
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from analysis.export.contents import Contents
from analysis.export.files import write_files
from analysis.export.nwb_behavior import add_behavior, add_events, add_trials
from analysis.export.nwb_imaging import add_imaging, missing_tiffs
from analysis.export.raw_pages import RawPages
from rig.errors import Refused

_SEXES = ("M", "F", "U", "O")
_GRAVE = ("CRITICAL", "ERROR", "PYNWB_VALIDATION")
"""Importance levels of the NWB inspector that make a file unacceptable."""
_STUDY = "doi:10.1038/s41586-025-09180-y"


class SubjectFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about an animal that NWB and DANDI require in addition to its name."""

    birth_date: date
    sex: str = "U"
    """M, F, U (unknown) or O (other)."""
    genotype: str = ""
    strain: str = ""
    experimenter: str = ""
    """Family name, comma, given name, such as "Doe, Jane"."""
    institution: str = ""
    lab: str = ""

    def __post_init__(self) -> None:
        """Refuse a sex that NWB does not know."""
        if self.sex not in _SEXES:
            raise Refused(f"sex {self.sex!r}: give one of {', '.join(_SEXES)}")


def nwb_name(contents: Contents) -> str:
    """Return the file's name as DANDI organizes it: sub-X_ses-Y_behavior+ophys.nwb."""
    subject = contents.subject.replace("_", "-")
    kinds = "behavior+ophys" if contents.cells is not None else "behavior"
    return f"sub-{subject}_ses-{_session_id(contents)}_{kinds}.nwb"


def write_nwb(
    contents: Contents,
    folder: Path,
    subject: SubjectFacts,
    pages: RawPages = RawPages.LINK,
    partial: bool = False,
) -> Path:
    """Write a session as NWB into a folder, check it, and return the file.

    Args:
        contents: The session.
        folder: Where the file goes.
        subject: Facts about the animal that are not in the session.
        pages: How the raw pages of the microscope are included.
        partial: Write the file even if TIFFs are missing; its notes list them.

    Raises:
        Refused: pynwb is not installed, the animal was born after the session, a TIFF is missing,
            or the file fails a check.
    """
    _check(contents, subject, pages, partial)
    path = folder / nwb_name(contents)
    nwb = _build(contents, folder, subject, pages)
    write_files(folder, {path.name: lambda part: _write(part, path, nwb)})
    return path


def _check(contents: Contents, subject: SubjectFacts, pages: RawPages, partial: bool) -> None:
    """Raise Refused, before anything is written, if the session cannot become an NWB file."""
    try:
        import pynwb  # noqa: F401
    except ImportError as error:
        raise Refused("NWB files need pynwb; install it: pip install 'rig[export]'") from error
    if subject.birth_date > contents.began.date():
        raise Refused(
            f"birth date {subject.birth_date} is after the session of {contents.began:%Y-%m-%d}; "
            "correct it"
        )
    absent = missing_tiffs(contents) if pages != RawPages.NONE else []
    if absent and not partial:
        raise Refused(
            f"{contents.session.folder / absent[0]} is missing; restore it, or export without raw "
            "pages: --tiffs none"
        )


def _write(part: Path, path: Path, nwb: Any) -> None:
    """Write a file under its temporary name, read it back, check and inspect it."""
    from pynwb import NWBHDF5IO

    with NWBHDF5IO(str(part), "w") as io:
        io.write(nwb)
    with NWBHDF5IO(str(part), "r") as io:
        problems = list(check_times(io.read()))
    problems += inspect(part)
    if problems:
        raise Refused(f"{path} was not written: {problems[0]}")


def check_times(nwb: Any) -> Iterator[str]:
    """Yield what is wrong with the times of a file: not finite, or not in order.

    The NWB inspector does not look at the times of events.
    """
    from pynwb import TimeSeries

    named = {o.name: o.timestamps for o in nwb.objects.values() if isinstance(o, TimeSeries)}
    events = nwb.events.values() if nwb.events else ()
    named |= {table.name: table["timestamp"].data for table in events}
    for name, times in named.items():
        if times is None:
            continue
        values = np.asarray(times[:], np.float64)
        if not np.isfinite(values).all():
            yield f"{name} has a time that is not a number"
        elif (np.diff(values) < 0).any():
            yield f"{name} has times that are out of order"


def inspect(path: Path) -> list[str]:
    """Return the serious findings of the NWB inspector (DANDI's rules); none if not installed."""
    try:
        from nwbinspector import inspect_nwbfile, load_config
    except ImportError:
        return []
    found = inspect_nwbfile(nwbfile_path=str(path), config=load_config("dandi"))
    return [
        f"the NWB inspector found: {one.message} ({one.check_function_name}, {one.location})"
        for one in found
        if one.importance.name in _GRAVE
    ]


def _build(contents: Contents, folder: Path, subject: SubjectFacts, pages: RawPages) -> Any:
    nwb = _new_file(contents, subject)
    nwb.subject = _subject(contents, subject)
    _add_provenance(nwb, contents)
    add_behavior(nwb, contents)
    add_events(nwb, contents)
    add_trials(nwb, contents)
    if contents.cells is not None:
        add_imaging(nwb, contents, contents.cells, folder, pages)
    return nwb


def _new_file(contents: Contents, subject: SubjectFacts) -> Any:
    from pynwb import NWBFile

    settings = contents.session.settings
    notes = contents.remarks([f"{name} is missing" for name in missing_tiffs(contents)])
    return NWBFile(
        session_description=f"{settings['task_name']}: a head-fixed mouse runs through virtual "
        "corridors of naturalistic texture",
        identifier=str(settings.get("id") or f"{contents.subject} {contents.began.isoformat()}"),
        session_start_time=contents.began,
        session_id=_session_id(contents),
        experimenter=[subject.experimenter] if subject.experimenter else None,
        institution=subject.institution or None,
        lab=subject.lab or None,
        notes=". ".join(notes) or None,
        experiment_description="Virtual-reality corridors with and without water reward, after "
        f"Zhong et al. 2025, {_STUDY}",
        related_publications=[_STUDY],
        keywords=["virtual reality", "two-photon imaging", "visual cortex", "mouse"],
        was_generated_by=_software(settings.get("about", {})),
    )


def _software(about: dict[str, str]) -> list[list[str]]:
    """Return name and version of the program and of the packages that recorded the session."""
    facts = ("code", "cpu")
    versions = {name: text for name, text in about.items() if name not in facts and text}
    return [["rig", str(versions.pop("rig", "unknown"))], *([n, v] for n, v in versions.items())]


def _subject(contents: Contents, subject: SubjectFacts) -> Any:
    from pynwb.file import Subject

    age_days = (contents.began.date() - subject.birth_date).days
    return Subject(
        subject_id=contents.subject,
        species="Mus musculus",
        sex=subject.sex,
        age=f"P{age_days}D",
        date_of_birth=datetime.combine(subject.birth_date, time(), contents.began.tzinfo),
        genotype=subject.genotype or None,
        strain=subject.strain or None,
        description=f"cohort {contents.task['cohort']}",
    )


def _add_provenance(nwb: Any, contents: Contents) -> None:
    """Add the settings as text, and each device of the setup by its name."""
    settings = contents.session.settings
    nwb.add_scratch(
        json.dumps(settings, default=str),
        name="settings",
        description="every setting of the session, and the versions that recorded it, as JSON",
    )
    for name, kind in _devices(settings["nodes"]):
        nwb.create_device(name=name, description=f"{kind}; its settings are in scratch/settings")


def _devices(tables: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Yield name and class of each device in the tables of a setup, such as valve_centre."""
    for name, table in tables.items():
        if not isinstance(table, dict):
            continue
        own = f"{path}_{name}" if path else name
        if isinstance(table.get("is"), str):
            yield own, table["is"]
        yield from _devices(table, own)


def _session_id(contents: Contents) -> str:
    return "-".join(contents.day_and_number)
