"""Compile the loops over all cells or pixels of a frame; the only module that uses numba."""

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., None])


def compiled(function: F) -> F:
    """Return the function as machine code, compiled at its first call and cached on disk.

    One thread and no fast mathematics: the same numbers give the same bits.
    """
    return cast(F, njit(function, cache=True, error_model="numpy"))
