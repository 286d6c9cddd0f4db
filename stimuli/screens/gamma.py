"""From a photometer's readings to the level that shows a wanted luminance."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rig.errors import Refused

Readings = NDArray[np.float64]
"""n x 2: level sent (0 to 1) and luminance seen (cd/m2), rising from level 0 to level 1."""
LEVELS = 256
_LEAST = 4


def read_gamma(path: Path, screen: str) -> Readings:
    """Read a gamma table. Raises Refused with one sentence."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = csv.DictReader(line for line in lines if not line.startswith("#"))
        pairs = [(float(row["level"]), float(row["cd_m2"])) for row in rows]
    except (OSError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise Refused(
            f"screen {screen}: gamma_file {path} cannot be read ({error!r}); make it anew with "
            "rig calibrate screen"
        ) from error
    return checked(pairs, f"screen {screen}: gamma_file {path}")


def checked(pairs: Sequence[tuple[float, float]], where: str) -> Readings:
    """Return readings in order. Raises Refused if they are too few, or do not rise 0 to 1."""
    table = np.array(sorted(pairs), float).reshape(-1, 2)
    if len(table) < _LEAST or table[0, 0] != 0 or table[-1, 0] != 1:
        raise Refused(f"{where}: it needs {_LEAST} readings or more, from level 0 to level 1")
    if not (np.isfinite(table).all() and (np.diff(table, axis=0) > 0).all() and table[0, 1] >= 0):
        raise Refused(f"{where}: the luminance does not rise with the level; measure again")
    return table


def write_gamma(path: Path, readings: Readings, about: Sequence[str]) -> None:
    """Write a gamma table with lines about how it was made. Raises FileExistsError."""
    with path.open("x", encoding="utf-8") as file:
        file.writelines(f"# {line}\n" for line in about)
        file.write("level,cd_m2\n")
        file.writelines(f"{level:.6g},{cd_m2:.6g}\n" for level, cd_m2 in readings)


def common_range(tables: Sequence[Readings]) -> tuple[float, float]:
    """Return the luminances (cd/m2) of black and white that all of the screens can show."""
    black = max((float(table[0, 1]) for table in tables), default=0.0)
    white = min((float(table[-1, 1]) for table in tables), default=1.0)
    if black >= white:
        raise Refused(
            f"one screen's black ({black:g} cd/m2) is brighter than another's white ({white:g}); "
            "match their brightness and measure again"
        )
    return black, white


def lookup(readings: Readings | None, black: float, white: float) -> NDArray[np.float32]:
    """Return the level (0 to 1) to send for each of 256 even luminances from black to white.

    Between readings the curve is straight against level ** gamma, gamma fitted to all of them, so
    that a few readings serve. Without readings levels are sent as they are.
    """
    wanted = np.linspace(0.0, 1.0, LEVELS)
    if readings is None:
        return wanted.astype(np.float32)
    level, cd_m2 = readings.T
    share = (cd_m2 - cd_m2[0]) / (cd_m2[-1] - cd_m2[0])
    exponent = float(np.log(share[1:-1]) @ np.log(level[1:-1]) / (np.log(level[1:-1]) ** 2).sum())
    bent = np.interp(black + wanted * (white - black), cd_m2, level**exponent)
    sent: NDArray[np.float32] = (bent ** (1 / exponent)).astype(np.float32)
    return sent
