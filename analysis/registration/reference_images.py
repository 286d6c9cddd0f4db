"""Landmarks: the mean pages and the z-stack of another day, by which today's field is found."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.registration.rigid import MotionSettings
from rig.errors import Refused

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ReferenceImages:
    """What is known of the field before anything is imaged."""

    means: Floats | None = None
    """(planes, height_px, width_px)"""
    stack: Floats | None = None
    """(depths, height_px, width_px)"""
    z_um: Floats | None = None
    """(depths,), rising"""

    def mean(self, plane: int, first_row: int, shape: tuple[int, int]) -> Floats | None:
        """Return a strip's part of the mean page of its plane. Raises Refused."""
        if self.means is None:
            return None
        rows = self.means[plane : plane + 1, first_row : first_row + shape[0]]
        if rows.shape != (1, *shape):
            raise Refused(
                f"reference_file holds pages of {self.means.shape}; plane {plane} needs "
                f"{shape[0]} x {shape[1]} px from row {first_row} on: make it from the same field"
            )
        return np.asarray(rows[0])

    def depths(self, first_row: int, shape: tuple[int, int]) -> tuple[Floats, Floats] | None:
        """Return a strip's part of the z-stack, and its depths (um). Raises Refused."""
        if self.stack is None or self.z_um is None:
            return None
        rows = self.stack[:, first_row : first_row + shape[0]]
        if rows.shape[1:] != shape:
            raise Refused(
                f"stack_file holds images of {self.stack.shape[1:]}; a strip needs {shape[0]} x "
                f"{shape[1]} px from row {first_row} on: make it from the same field"
            )
        return rows, self.z_um


def read_reference_images(settings: MotionSettings) -> ReferenceImages:
    """Read the files that the settings name. Raises Refused with one sentence."""
    means = stack = z_um = None
    if settings.reference_file:
        means = _read_means(Path(settings.reference_file))
    if settings.stack_file:
        stack, z_um = _read_stack(Path(settings.stack_file))
    return ReferenceImages(means, stack, z_um)


def _read_means(path: Path) -> Floats:
    try:
        pages = np.asarray(np.load(path, allow_pickle=False), np.float32)
    except (OSError, ValueError, EOFError, TypeError) as error:
        raise Refused(f"reference_file {path} cannot be read ({error}); name another") from error
    pages = pages[None] if pages.ndim == 2 else pages
    if pages.ndim != 3 or not np.isfinite(pages).all():
        raise Refused(f"reference_file {path} is not one mean page a plane, all finite; remake it")
    return pages


def _read_stack(path: Path) -> tuple[Floats, Floats]:
    try:
        with np.load(path, allow_pickle=False) as file:
            stack = np.asarray(file["stack"], np.float32)
            z_um = np.asarray(file["z_um"], np.float32)
    except (OSError, ValueError, EOFError, KeyError, TypeError, AttributeError) as error:
        raise Refused(
            f"stack_file {path} cannot be read ({error}); give an .npz of stack and z_um"
        ) from error
    rising = z_um.ndim == 1 and z_um.size >= 3 and (np.diff(z_um) > 0).all()
    if not rising or stack.ndim != 3 or stack.shape[0] != z_um.size:
        raise Refused(f"stack_file {path}: z_um must rise, one for each of 3 or more images")
    if not np.isfinite(stack).all():
        raise Refused(f"stack_file {path} holds other values than finite numbers; remake it")
    return stack, z_um
