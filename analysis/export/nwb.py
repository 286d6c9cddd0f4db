"""Export to Neurodata Without Borders (NWB 2): one file a session, with core types only.

The file is written under a temporary name, read back, checked, and only then given its name: an
HDF5 file that was interrupted cannot be read at all.
"""

import json
import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.cells.model import Cells
from analysis.export.contents import Contents, write_whole
from rig.errors import Refused

_SEXES = ("M", "F", "U", "O")
_EVENT_S = 1e-4
"""Resolution of the times of events, seconds."""
_FRAMES_AT_ONCE = 64
"""Frames of activity in memory while the file is written."""


class SubjectFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What NWB and DANDI ask of an animal beyond its name."""

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
    session = _session_id(contents)
    kinds = "behavior+ophys" if contents.cells is not None else "behavior"
    return f"sub-{contents.subject}_ses-{session}_{kinds}.nwb"


def write_nwb(contents: Contents, folder: Path, subject: SubjectFacts) -> Path:
    """Write a session as NWB into a folder, check it, and return the file.

    Raises Refused if pynwb is not installed, the animal was born after the session, or the file
    fails its own check.
    """
    try:
        from pynwb import NWBHDF5IO
    except ImportError as error:
        raise Refused("NWB files need pynwb; install it: pip install rig[export]") from error
    if subject.birth_date > contents.began.date():
        raise Refused(
            f"birth date {subject.birth_date} is after the session of {contents.began:%Y-%m-%d}; "
            "correct it"
        )
    path = folder / nwb_name(contents)

    def write(part: Path) -> None:
        with NWBHDF5IO(str(part), "w") as io:
            io.write(_build(contents, folder, subject))
        with NWBHDF5IO(str(part), "r") as io:
            problems = list(check_times(io.read()))
        if problems:
            raise Refused(f"{path} was not written: {problems[0]}")
        with part.open("rb") as file:
            os.fsync(file.fileno())

    write_whole(path, write)
    return path


def check_times(nwb: Any) -> Iterator[str]:
    """Yield what is wrong with the times of a file: not finite, or not in order.

    The NWB inspector does not look at the times of events.
    """
    from pynwb import TimeSeries

    named = {o.name: o.timestamps for o in nwb.objects.values() if isinstance(o, TimeSeries)}
    named |= {t.name: t["timestamp"].data for t in _event_tables(nwb)}
    for name, times in named.items():
        if times is None:
            continue
        values = np.asarray(times[:], np.float64)
        if not np.isfinite(values).all():
            yield f"{name} has a time that is not a number"
        elif (np.diff(values) < 0).any():
            yield f"{name} has times that are out of order"


def _event_tables(nwb: Any) -> list[Any]:
    return list(nwb.events.values()) if nwb.events else []


def _build(contents: Contents, folder: Path, subject: SubjectFacts) -> Any:
    from pynwb import NWBFile
    from pynwb.file import Subject

    settings = contents.session.settings
    about = settings.get("about", {})
    nwb = NWBFile(
        session_description=f"{settings['task_name']}: a head-fixed mouse runs through virtual "
        "corridors of naturalistic texture",
        identifier=str(settings.get("id") or f"{contents.subject} {contents.began.isoformat()}"),
        session_start_time=contents.began,
        session_id=_session_id(contents),
        experimenter=[subject.experimenter] if subject.experimenter else None,
        institution=subject.institution or None,
        lab=subject.lab or None,
        notes=f"INCOMPLETE: {contents.missing}" if contents.missing else None,
        experiment_description="Virtual-reality corridors with and without water reward, after "
        "Zhong et al. 2025, doi 10.1038/s41586-025-09180-y",
        related_publications=["doi:10.1038/s41586-025-09180-y"],
        keywords=["virtual reality", "two-photon imaging", "visual cortex", "mouse"],
        was_generated_by=[["rig", str(about.get("rig", "unknown"))]],
    )
    age_days = (contents.began.date() - subject.birth_date).days
    nwb.subject = Subject(
        subject_id=contents.subject,
        species="Mus musculus",
        sex=subject.sex,
        age=f"P{age_days}D",
        date_of_birth=contents.began.replace(
            year=subject.birth_date.year,
            month=subject.birth_date.month,
            day=subject.birth_date.day,
            hour=0,
            minute=0,
            second=0,
            microsecond=0,
        ),
        genotype=subject.genotype or None,
        strain=subject.strain or None,
        description=f"cohort {contents.task['cohort']}",
    )
    nwb.add_scratch(
        json.dumps(settings, default=str),
        name="settings",
        description="every setting of the session, and the versions that recorded it, as JSON",
    )
    _add_behavior(nwb, contents)
    _add_events(nwb, contents)
    _add_trials(nwb, contents)
    if contents.cells is not None:
        _add_imaging(nwb, contents, contents.cells, folder)
    return nwb


def _add_behavior(nwb: Any, contents: Contents) -> None:
    from pynwb import TimeSeries
    from pynwb.behavior import BehavioralTimeSeries, Position, SpatialSeries

    position = contents.session.position
    if not len(position):
        return
    module = nwb.create_processing_module("behavior", "running and the position in the corridor")
    place = SpatialSeries(
        name="corridor_position",
        description="position along the corridor of the trial; 0 where there is no trial",
        data=_zipped(position.position_m.to_numpy(np.float32)),
        timestamps=_zipped(position.t_s.to_numpy(np.float64)),
        reference_frame="0 is the start of the corridor; positive is the way the mouse runs",
        unit="meters",
    )
    module.add(Position(spatial_series=place))
    speed = TimeSeries(
        name="running_speed",
        description="forward speed of the mouse, over the task's speed window",
        data=_zipped(position.speed_cm_s.to_numpy(np.float32)),
        unit="m/s",
        conversion=0.01,
        timestamps=place,
    )
    moving = TimeSeries(
        name="corridor_moving",
        description="1 while the corridor moves, 0 while it does not move",
        data=_zipped(position.moving.to_numpy(np.int8)),
        unit="n.a.",
        timestamps=place,
    )
    module.add(BehavioralTimeSeries(time_series=[speed, moving]))


def _add_events(nwb: Any, contents: Contents) -> None:
    """Add one table for each kind of event; an empty one is left out, as NWB cannot hold it."""
    from hdmf.common import VectorData
    from pynwb.event import EventsTable, TimestampVectorData

    for name, (description, table) in _events(contents).items():
        if not len(table):
            continue
        ordered = table.sort_values("t_s", kind="stable")
        columns = [
            TimestampVectorData(
                name="timestamp",
                description="seconds of the session clock",
                data=ordered.t_s.to_numpy(np.float64),
                resolution=_EVENT_S,
            )
        ]
        for column in ordered.columns.drop("t_s"):
            values = ordered[column].to_numpy()
            text = values.dtype.kind not in "biuf"
            columns.append(
                VectorData(
                    name=column,
                    description=column.replace("_", " "),
                    data=[str(v) for v in values] if text else values,
                )
            )
        nwb.add_events_table(EventsTable(name=name, description=description, columns=columns))


def _events(contents: Contents) -> dict[str, tuple[str, pd.DataFrame]]:
    session = contents.session
    licks = session.licks[["t_s", "line", "trial", "position_m"]]
    rewards = session.rewards[["t_s", "line", "volume_ul", "open_ms", "manual", "trial"]]
    cues = session.trials[["cue_s", "trial", "cue_position_m"]].dropna()
    return {
        "licks": ("onsets of licks at a spout", licks),
        "rewards": ("openings of a water valve, timed by the device", rewards),
        "cues": ("sound cues", cues.rename(columns={"cue_s": "t_s"})),
        "flips": ("frames shown on the screens", session.flips[["t_s", "number", "late"]]),
        "imaging_frames": (
            "imaging frames as they arrived",
            session.frames[["t_s", "index", "plane", "channel"]],
        ),
        "operator_requests": ("what the operator asked for", session.orders),
        "faults": ("what was wrong", session.faults[["t_s", "text"]]),
    }


def _add_trials(nwb: Any, contents: Contents) -> None:
    trials = contents.session.trials
    ended = trials[np.isfinite(trials.end_s)]
    if not len(ended):
        return
    columns = {
        "stimulus": "name of the wall texture or image",
        "rewarded": "whether water could be had",
        "outcome": "done or aborted",
        "reward_mode": "active: at a lick; passive: without one; none",
        "cue_position_m": "where the sound cue was, metres; NaN if there was none",
        "cue_s": "when the sound cue was",
        "reward_s": "when the first reward was",
        "reward_position_m": "where the first reward was, metres",
        "licks": "number of licks in the trial",
    }
    for name, description in columns.items():
        nwb.add_trial_column(name, description)
    for row in ended.to_dict("records"):
        values = {name: row[name] for name in columns}
        nwb.add_trial(start_time=row["start_s"], stop_time=row["end_s"], **values)


def _add_imaging(nwb: Any, contents: Contents, cells: Cells, folder: Path) -> None:
    from pynwb import TimeSeries
    from pynwb.ophys import Fluorescence, ImageSegmentation, RoiResponseSeries

    device = nwb.create_device(name="mesoscope", description="two-photon mesoscope")
    module = nwb.create_processing_module("ophys", "cells, activity and signals computed online")
    segmentation = ImageSegmentation()
    responses = Fluorescence(name="Deconvolved")
    module.add(segmentation)
    module.add(responses)
    middles = contents.frames.middle_s.to_numpy(np.float64)
    area, d_prime = contents.atlas[1], contents.d_prime
    for number, members in enumerate(contents.by_plane):
        plane = _imaging_plane(nwb, device, contents, number)
        table = segmentation.create_plane_segmentation(
            name=f"PlaneSegmentation{number}",
            description="masks of the cells that were read online",
            imaging_plane=plane,
        )
        table.add_column("area", "id of the retinotopic area; -1 unknown")
        table.add_column("d_prime", "d' of the reference contrast at the end of the session")
        for cell in members:
            table.add_roi(
                pixel_mask=_pixel_mask(cells, int(cell)),
                area=int(area[cell]),
                d_prime=float(d_prime[cell]),
            )
        region = table.create_roi_table_region(
            region=list(range(len(members))), description="all cells of the plane"
        )
        responses.add_roi_response_series(
            RoiResponseSeries(
                name=f"Plane{number}",
                description="deconvolved activity, final values, as used online",
                data=_rows_as_read(contents.session.traces, members),
                rois=region,
                unit="n.a.",
                timestamps=middles,
            )
        )
        _link_tiffs(nwb, plane, contents, number, folder)
    fractions = contents.session.decoded.selective_fraction.to_numpy(np.float64)
    module.add(
        TimeSeries(
            name="selective_fraction",
            description="share of the cells with |d'| of at least 0.3, after each frame",
            data=fractions,
            unit="n.a.",
            timestamps=middles,
        )
    )


def _imaging_plane(nwb: Any, device: Any, contents: Contents, number: int) -> Any:
    from pynwb.ophys import OpticalChannel

    middles = contents.frames.middle_s.to_numpy(np.float64)
    rate_hz = float(1 / np.median(np.diff(middles))) if len(middles) > 1 else None
    channel = OpticalChannel(name="green", description="calcium indicator", emission_lambda=510.0)
    return nwb.create_imaging_plane(
        name=f"plane{number}",
        optical_channel=channel,
        description=f"depth {number} of the mesoscope's field",
        device=device,
        excitation_lambda=920.0,
        imaging_rate=rate_hz,
        indicator="GCaMP6s",
        location="VIS",
    )


def _link_tiffs(nwb: Any, plane: Any, contents: Contents, number: int, folder: Path) -> None:
    """Name the TIFFs that hold a plane's pixels, relative to the NWB file, if they are there."""
    from pynwb.ophys import TwoPhotonSeries

    frames = contents.session.frames
    frames = frames[(frames.plane == number) & (frames.channel == frames.channel.min())]
    files = list(dict.fromkeys(frames.file))
    paths = [contents.session.folder / name for name in files]
    if not files or not all(path.is_file() for path in paths):
        return
    starts = [int((frames.file == name).to_numpy().argmax()) for name in files]
    nwb.add_acquisition(
        TwoPhotonSeries(
            name=f"TwoPhotonSeriesPlane{number}",
            description="raw pages as ScanImage saved them",
            imaging_plane=plane,
            format="external",
            external_file=[os.path.relpath(path, folder) for path in paths],
            starting_frame=starts,
            dimension=[int(frames.width_px.iloc[0]), int(frames.height_px.iloc[0])],
            unit="n.a.",
            timestamps=frames.t_s.to_numpy(np.float64),
        )
    )


def _pixel_mask(cells: Cells, cell: int) -> list[tuple[int, int, float]]:
    """Return x, y and weight of a cell's pixels."""
    pixels = slice(int(cells.first[cell]), int(cells.first[cell + 1]))
    columns = (cells.x[pixels], cells.y[pixels], cells.weight[pixels])
    return [(int(x), int(y), float(w)) for x, y, w in zip(*columns, strict=True)]


def _rows_as_read(traces: NDArray[np.float32], members: NDArray[np.intp]) -> Any:
    """Return activity that is compressed as it is read from disk, a few frames at a time."""
    from hdmf.backends.hdf5 import H5DataIO
    from hdmf.data_utils import DataChunkIterator

    rows = (traces[frame, members] for frame in range(len(traces)))
    shape = (len(traces), len(members))
    data = DataChunkIterator(
        data=rows, buffer_size=_FRAMES_AT_ONCE, maxshape=shape, dtype=np.dtype(np.float32)
    )
    chunks = (min(_FRAMES_AT_ONCE, shape[0]), shape[1])
    return H5DataIO(data, compression="gzip", compression_opts=4, chunks=chunks)


def _zipped(values: NDArray[Any]) -> Any:
    from hdmf.backends.hdf5 import H5DataIO

    return H5DataIO(values, compression="gzip", compression_opts=4)


def _session_id(contents: Contents) -> str:
    return contents.session.folder.name.removeprefix("ses-").replace("_", "-")
