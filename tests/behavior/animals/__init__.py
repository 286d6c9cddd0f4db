"""Tests of the simulated mice."""
