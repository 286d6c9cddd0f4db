"""Benches of imaging: the simulated microscope, files, rings, the analysis."""
