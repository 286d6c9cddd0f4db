"""Gamma correction: compute the level that shows a given luminance, from photometer readings."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rig.errors import Refused

Readings = NDArray[np.float64]
"""n x 2: level sent (0 to 1) and measured luminance (cd/m2), increasing from level 0 to level 1."""
LEVELS = 256
"""Number of entries of a correction table."""
_MIN_READINGS = 4


def read_gamma(path: Path, screen: str) -> Readings:
    """Read a gamma table, a CSV with the columns level and cd_m2; `screen` is for error messages.

    Raises:
        Refused: The file cannot be read, or is not a gamma curve.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = csv.DictReader(line for line in lines if not line.startswith("#"))
        pairs = [(float(row["level"]), float(row["cd_m2"])) for row in rows]
    except (OSError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise Refused(
            f"screen {screen}: gamma_file {path} cannot be read ({error!r}); measure it again "
            "with: rig calibrate screen"
        ) from error
    return check_readings(pairs, f"screen {screen}: gamma_file {path}")


def check_readings(pairs: Sequence[tuple[float, float]], where: str) -> Readings:
    """Return readings sorted by level; `where` is for error messages.

    Raises:
        Refused: There are too few readings, or they do not increase from level 0 to level 1.
    """
    table = np.array(sorted(pairs), float).reshape(-1, 2)
    if len(table) < _MIN_READINGS or table[0, 0] != 0 or table[-1, 0] != 1:
        raise Refused(
            f"{where}: at least {_MIN_READINGS} readings from level 0 to level 1 are needed; "
            "measure again"
        )
    if not (np.isfinite(table).all() and (np.diff(table, axis=0) > 0).all() and table[0, 1] >= 0):
        raise Refused(f"{where}: the luminance does not rise with the level; measure again")
    return table


def write_gamma(path: Path, readings: Readings, comments: Sequence[str]) -> None:
    """Write a new gamma table, with comment lines on top. Raises FileExistsError if it exists."""
    with path.open("x", encoding="utf-8") as file:
        file.writelines(f"# {line}\n" for line in comments)
        file.write("level,cd_m2\n")
        file.writelines(f"{level:.6g},{cd_m2:.6g}\n" for level, cd_m2 in readings)


def common_range(tables: Sequence[Readings]) -> tuple[float, float]:
    """Return the darkest and brightest luminance (cd/m2) that all of the screens can show.

    Raises:
        Refused: There is no such range.
    """
    black = max((float(table[0, 1]) for table in tables), default=0.0)
    white = min((float(table[-1, 1]) for table in tables), default=1.0)
    if black >= white:
        raise Refused(
            f"the black of one screen ({black:g} cd/m2) is brighter than the white of another "
            f"({white:g} cd/m2); match their brightness and measure again"
        )
    return black, white


def correction_table(readings: Readings | None, black: float, white: float) -> NDArray[np.float32]:
    """Return the level to send for each of 256 evenly spaced luminances.

    Between readings, luminance is interpolated linearly against level ** gamma, with one gamma
    fitted to all readings; so a few readings are enough.

    Args:
        readings: The photometer readings; None sends every level as it is.
        black: The luminance of index 0, cd/m2.
        white: The luminance of index 255, cd/m2.

    Returns:
        256 levels, 0 to 1.
    """
    luminance = np.linspace(0.0, 1.0, LEVELS)
    if readings is None:
        return luminance.astype(np.float32)
    level, cd_m2 = readings.T
    share = (cd_m2 - cd_m2[0]) / (cd_m2[-1] - cd_m2[0])
    log_level = np.log(level[1:-1])
    gamma = float(np.log(share[1:-1]) @ log_level / (log_level**2).sum())  # least squares
    powered = np.interp(black + luminance * (white - black), cd_m2, level**gamma)
    table: NDArray[np.float32] = (powered ** (1 / gamma)).astype(np.float32)
    return table
