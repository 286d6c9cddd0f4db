"""Compile the loops over all cells or pixels of a frame; the only module that uses numba."""

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., None])


def compiled(function: F) -> F:
    """Return the function as machine code, compiled at its first call and cached on disk.

    It uses one thread and no fast-math, so that the same input gives the same bits.
    """
    return cast(F, njit(function, cache=True, error_model="numpy"))
