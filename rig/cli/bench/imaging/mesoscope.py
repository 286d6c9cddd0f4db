"""Measure the load of the simulated microscope with 90,000 cells at 25 MB/s, its maximum."""

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from acquisition.mesoscope import Mesoscope
from rig.cli.bench.harness import Row, count, row
from rig.errors import Refused
from rig.messages import Message, Position, Start, TrialStart

_MB_S = 25.0
_STRIPS, _ROWS, _COLUMNS, _FLY_ROWS = 9, 2000, 116, 12
_PAGE_MB = (_STRIPS * (_ROWS + _FLY_ROWS) - _FLY_ROWS) * _COLUMNS * 2 / 1e6
_RATE_HZ = _MB_S / _PAGE_MB
_BRAIN = {"cells": 90_000, "radius_px": 2.0}
_PAGES = 20
_FIRST = 2
"""Number of first pages that are not measured, as the first page of each depth allocates memory."""
_METRES_PER_PAGE = 0.1


def scanning(folder: Path) -> Iterator[Row]:
    """Scan 9 strips at 2 depths while the animal runs; measure the time of each page."""
    table = {
        "imaging_folder": str(folder / "scanned"),
        "frame_rate_hz": _RATE_HZ,
        "height_px": _ROWS,
        "width_px": _COLUMNS,
        "rois": _STRIPS,
        "fly_rows": _FLY_ROWS,
        "depths": 2,
        "brain": _BRAIN,
    }
    published: list[Message] = []
    scope = Mesoscope(msgspec.convert(table, Mesoscope.Settings), published.append)
    began = time.process_time()
    scope.open()
    opened_ms = 1e3 * (time.process_time() - began)
    scope.handle(Start(0, {"seed": 1}))
    scope.handle(TrialStart(0, 0, "leaf1", None, True, 4.0, 2.0, 2.5, "active", 0.0))
    shares = [_share(scope, page) for page in range(1 + _FIRST + _PAGES)]
    scope.close()
    _check(folder / "scanned")
    yield count("simulated microscope: open", opened_ms, "ms of CPU")
    name = f"  {_BRAIN['cells']} cells, {_MB_S:g} MB/s"
    yield row(name, shares[1 + _FIRST :], "% of a core", under={"p50": 100.0})


def _share(scope: Mesoscope, page: int) -> float:
    """Begin a page, and draw and save the previous page; return the load, % of a core."""
    began = time.process_time()
    scope.handle(Position(0, 0, page * _METRES_PER_PAGE, 60.0, True, "corridor"))
    scope.tick(round(page * 1e9 / _RATE_HZ))
    return 100 * (time.process_time() - began) * _RATE_HZ


def _check(folder: Path) -> None:
    """Raise Refused if not all pages were saved."""
    saved_mb = sum(path.stat().st_size for path in folder.glob("*.tif")) / 1e6
    if saved_mb < (_FIRST + _PAGES) * _PAGE_MB:
        raise Refused(f"only {saved_mb:.0f} MB were saved, not {_PAGES} pages of {_PAGE_MB:.1f}")
