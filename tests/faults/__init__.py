"""Processes killed, hung and starved by real signals."""
