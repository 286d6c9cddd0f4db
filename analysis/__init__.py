"""Signals while the mouse runs, and the session read back afterwards."""
