"""Tests of analysis.signals."""
