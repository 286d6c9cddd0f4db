"""Compute signals while the mouse runs, and read and analyse recorded sessions."""
