"""Benches of imaging: the simulated microscope, files, the ring, and the analysis."""
