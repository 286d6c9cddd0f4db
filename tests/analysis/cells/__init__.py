"""Tests of analysis.cells."""
