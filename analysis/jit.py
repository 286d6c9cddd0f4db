"""Compiles the loops that run over all cells or pixels of a frame: the one place of numba."""

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., None])


def compiled(function: F) -> F:
    """Return the function as machine code, made at its first call and kept on the disk.

    One thread and no fast mathematics: the same numbers give the same bits.
    """
    return cast(F, njit(function, cache=True, error_model="numpy"))
