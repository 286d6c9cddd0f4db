"""The imaging of a session in NWB: planes, cells, activity, running signals, raw pages."""

import mmap
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.cells.areas import NAMES
from analysis.cells.model import Cells, pixel_indices
from analysis.export.contents import Contents
from analysis.export.nwb_behavior import compressed
from analysis.export.raw_pages import RawPages
from analysis.signals.selectivity import SIGNS, THRESHOLDS
from rig.transport.frame_pixels import imaging_file

_FRAMES_AT_ONCE = 64
"""Frames of activity or pages in memory while the file is written."""
_CELLS_A_CHUNK = 4096
"""Cells per chunk of the file; reading the activity of one cell reads whole chunks."""
_PIXEL = np.dtype([("x", "u4"), ("y", "u4"), ("weight", "f4")])


def add_imaging(nwb: Any, contents: Contents, cells: Cells, folder: Path, pages: RawPages) -> None:
    """Add each depth with its cells, their activity and its raw pages, and the running signals."""
    from pynwb.ophys import Fluorescence, ImageSegmentation, RoiResponseSeries

    device = nwb.create_device(name="microscope", description="two-photon mesoscope")
    module = nwb.create_processing_module("ophys", "cells, activity and signals computed online")
    segmentation, responses = ImageSegmentation(), Fluorescence(name="Deconvolved")
    module.add(segmentation)
    module.add(responses)
    middles = contents.frames.middle_s.to_numpy(np.float64)
    for number, members in enumerate(contents.by_plane):
        plane = _imaging_plane(nwb, device, contents, number)
        table = _cell_table(contents, cells, members, plane, number)
        segmentation.add_plane_segmentation(table)
        everyone = table.create_roi_table_region(
            region=list(range(len(members))), description="all cells of the plane"
        )
        responses.add_roi_response_series(
            RoiResponseSeries(
                name=f"Plane{number}",
                description="deconvolved activity, final values, as used online",
                data=_activity(contents.session.traces, members),
                rois=everyone,
                unit="n.a.",
                timestamps=middles,
            )
        )
        if pages != RawPages.NONE:
            _add_pages(nwb, plane, contents, number, folder, pages)
    for series in _running_signals(contents):
        module.add(series)


def missing_tiffs(contents: Contents) -> list[str]:
    """Return the imaging files that the session names but that do not exist."""
    files, folder = dict.fromkeys(contents.session.frames.file), contents.session.folder
    return [name for name in files if not imaging_file(folder, name).is_file()]


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


def _cell_table(
    contents: Contents, cells: Cells, members: NDArray[np.intp], plane: Any, number: int
) -> Any:
    """Return the table of the cells of a depth.

    It is made of whole columns: adding 90,000 cells row by row takes a minute.
    """
    from hdmf.common import VectorData, VectorIndex
    from pynwb.ophys import PlaneSegmentation

    pixels = pixel_indices(cells.first, members)
    mask = np.empty(len(pixels), _PIXEL)
    mask["x"], mask["y"], mask["weight"] = cells.x[pixels], cells.y[pixels], cells.weight[pixels]
    masks = VectorData(name="pixel_mask", description="pixels (x, y, weight) of a cell", data=mask)
    ends = np.cumsum(np.diff(cells.first)[members]).astype(np.uint32)
    columns = [masks, VectorIndex(name="pixel_mask_index", data=ends, target=masks)]
    for name, (description, values) in _facts_of_cells(contents).items():
        columns.append(VectorData(name=name, description=description, data=values[members]))
    return PlaneSegmentation(
        name=f"PlaneSegmentation{number}",
        description="masks of the cells that were read online",
        imaging_plane=plane,
        columns=columns,
        id=np.arange(len(members)),
    )


def _facts_of_cells(contents: Contents) -> dict[str, tuple[str, NDArray[Any]]]:
    """Return the columns of the tables of cells by name: description, and a value per cell."""
    area = contents.area.astype(np.int64)
    facts: dict[str, tuple[str, NDArray[Any]]] = {
        "area": ("id of the retinotopic area; -1 unknown", area),
        "d_prime": ("d' of the reference contrast at the end of the session", contents.d_prime),
    }
    session = contents.session
    final = session.d_primes[-1] if len(session.learning) and session.d_primes.size else []
    for (a, b), values in zip(session.contrasts, final, strict=False):
        facts[f"d_prime_{a}_{b}"] = (f"d' of {a} against {b} at the end of the session", values)
    return facts


def _activity(traces: NDArray[np.float32], members: NDArray[np.intp]) -> Any:
    """Return activity (frames, cells) that is read from the disk as it is written."""
    rows = _rows(traces, members)
    shape = (len(traces), len(members))
    return _written_in_pieces(rows, shape, np.dtype(np.float32), _CELLS_A_CHUNK)


def _rows(traces: NDArray[np.float32], members: NDArray[np.intp]) -> Iterator[NDArray[np.float32]]:
    """Yield the activity of some cells, frame by frame, and release the memory of read frames."""
    mapped: Any = traces.base
    for frame in range(len(traces)):
        yield traces[frame, members]
        is_due = frame % _FRAMES_AT_ONCE == 0 and isinstance(mapped, mmap.mmap)
        if sys.platform == "linux" and is_due:  # what stays mapped counts as this process's memory
            mapped.madvise(mmap.MADV_DONTNEED)


def _written_in_pieces(
    rows: Iterator[NDArray[Any]], shape: tuple[int, ...], dtype: np.dtype[Any], columns: int
) -> Any:
    """Return data of this shape, made of rows of which only some are in memory at a time."""
    from hdmf.backends.hdf5 import H5DataIO
    from hdmf.data_utils import DataChunkIterator

    data = DataChunkIterator(data=rows, buffer_size=_FRAMES_AT_ONCE, maxshape=shape, dtype=dtype)
    chunks = (min(_FRAMES_AT_ONCE, shape[0]), min(columns, shape[1]), *shape[2:])
    return H5DataIO(data, compression="gzip", compression_opts=4, chunks=chunks)


def _add_pages(
    nwb: Any, plane: Any, contents: Contents, number: int, folder: Path, pages: RawPages
) -> None:
    """Add the raw pages of a depth: linked relative to the NWB file, or copied into it."""
    from pynwb.ophys import TwoPhotonSeries

    frames = contents.session.frames
    frames = frames[(frames.plane == number) & (frames.channel == frames.channel.min())]
    files = list(dict.fromkeys(frames.file))
    paths = [imaging_file(contents.session.folder, name) for name in files]
    if not files or not all(path.is_file() for path in paths):
        return
    if pages == RawPages.EMBED:
        held = {"data": _read_pages(contents, frames)}
    else:
        starts = [int((frames.file == name).to_numpy().argmax()) for name in files]
        held = {
            "format": "external",
            "external_file": [os.path.relpath(path, folder) for path in paths],
            "starting_frame": starts,
        }
    nwb.add_acquisition(
        TwoPhotonSeries(
            name=f"TwoPhotonSeriesPlane{number}",
            description="raw pages as ScanImage saved them",
            imaging_plane=plane,
            dimension=[int(frames.width_px.iloc[0]), int(frames.height_px.iloc[0])],
            unit="n.a.",
            timestamps=frames.t_s.to_numpy(np.float64),
            **held,
        )
    )


def _read_pages(contents: Contents, frames: pd.DataFrame) -> Any:
    """Return raw pages (frames, height_px, width_px) that are read as they are written."""
    height, width = int(frames.height_px.iloc[0]), int(frames.width_px.iloc[0])
    pages = (contents.session.pixels(int(index)) for index in frames["index"])
    shape = (len(frames), height, width)
    return _written_in_pieces(pages, shape, np.dtype(str(frames["dtype"].iloc[0])), height)


def _running_signals(contents: Contents) -> Iterator[Any]:
    """Yield the signals computed after each frame, as series at the middle of the frame's scan."""
    from pynwb import TimeSeries

    session = contents.session
    middles = contents.frames.middle_s.to_numpy(np.float64)
    groups = f"areas ({', '.join(NAMES)}) x signs ({', '.join(SIGNS)}) x thresholds of |d'|"
    thresholds = ", ".join(f"{value:g}" for value in THRESHOLDS)
    signals = {
        "selective_fraction": (
            "fraction of the cells with |d'| of at least 0.3, after each frame",
            session.decoded.selective_fraction.to_numpy(np.float64),
        ),
        "selective_fractions_by_area": (
            f"fraction of selective cells: frames x {groups} ({thresholds})",
            session.fractions,
        ),
        "reward_prediction": (
            "population signal of reward prediction in each frame; NaN if undefined",
            session.decoded.ramp.to_numpy(np.float64),
        ),
    }
    for name, (description, values) in signals.items():
        if len(values) == len(middles):
            data = compressed(values)
            yield TimeSeries(
                name=name, description=description, data=data, unit="n.a.", timestamps=middles
            )
