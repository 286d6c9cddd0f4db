"""Read a recorded session as NumPy arrays and pandas tables."""

from analysis.session.session import Session

__all__ = ["Session"]
