"""Reference images: the mean pages and the z-stack of another day."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.cells.array_files import UnreadableFileError, read_array
from analysis.registration.rigid import MotionSettings
from rig.errors import Refused

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ReferenceImages:
    """Images of the field from before the session: mean pages and a z-stack, if there are any."""

    means: Floats | None = None
    """Mean pages: (planes, height_px, width_px)."""
    stack: Floats | None = None
    """A z-stack: (depths, height_px, width_px)."""
    z_um: Floats | None = None
    """The depths of the stack, um, increasing: (depths,)."""

    def mean(self, plane: int, first_row: int, shape: tuple[int, int]) -> Floats | None:
        """Return a strip of the mean page of a plane, if any. Raises Refused if it is too small."""
        if self.means is None:
            return None
        rows = self.means[plane : plane + 1, first_row : first_row + shape[0]]
        if rows.shape != (1, *shape):
            raise Refused(
                f"reference_file has the shape {self.means.shape}, but plane {plane} needs "
                f"{shape[0]} x {shape[1]} px from row {first_row}; make it from the same field"
            )
        return np.asarray(rows[0])

    def depths(self, first_row: int, shape: tuple[int, int]) -> tuple[Floats, Floats] | None:
        """Return a strip of the z-stack and its depths (um), if any.

        Raises:
            Refused: The images of the stack are too small.
        """
        if self.stack is None or self.z_um is None:
            return None
        rows = self.stack[:, first_row : first_row + shape[0]]
        if rows.shape[1:] != shape:
            raise Refused(
                f"stack_file has images of {self.stack.shape[1:]} px, but a strip needs "
                f"{shape[0]} x {shape[1]} px from row {first_row}; make it from the same field"
            )
        return rows, self.z_um


def read_reference_images(settings: MotionSettings) -> ReferenceImages:
    """Read the files that the settings name.

    Raises:
        Refused: A file cannot be used.
    """
    means = stack = z_um = None
    if settings.reference_file:
        means = _read_means(Path(settings.reference_file))
    if settings.stack_file:
        stack, z_um = _read_stack(Path(settings.stack_file))
    return ReferenceImages(means, stack, z_um)


def _read_means(path: Path) -> Floats:
    try:
        pages = _numbers(read_array(path))
    except UnreadableFileError as error:
        raise Refused(f"reference_file {path} cannot be read ({error}); give another") from error
    pages = pages[None] if pages.ndim == 2 else pages
    if pages.ndim != 3 or not pages.size or not np.isfinite(pages).all():
        raise Refused(
            f"reference_file {path} does not contain one mean page per plane with finite values; "
            "make it again"
        )
    return pages


def _read_stack(path: Path) -> tuple[Floats, Floats]:
    try:
        stack, z_um = _numbers(read_array(path, "stack")), _numbers(read_array(path, "z_um"))
    except UnreadableFileError as error:
        raise Refused(
            f"stack_file {path} cannot be read ({error}); give an .npz with the arrays stack and "
            "z_um"
        ) from error
    increasing = z_um.ndim == 1 and z_um.size >= 3 and bool((np.diff(z_um) > 0).all())
    if not increasing or stack.ndim != 3 or stack.shape[0] != z_um.size or not stack.size:
        raise Refused(
            f"stack_file {path}: z_um must increase and have one value for each of 3 or more images"
        )
    if not np.isfinite(stack).all():
        raise Refused(f"stack_file {path} has values that are not finite; make it again")
    return stack, z_um


def _numbers(array: Any) -> Floats:
    """Return an array of real numbers as float32."""
    values = np.asarray(array)
    if values.dtype.kind not in "iuf":
        raise UnreadableFileError(f"it holds {values.dtype}, not numbers")
    return values.astype(np.float32)
