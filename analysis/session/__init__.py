"""Read a recorded session back as NumPy arrays and pandas tables."""

from analysis.session.session import Session

__all__ = ["Session"]
