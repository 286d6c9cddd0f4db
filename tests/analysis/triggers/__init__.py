"""Tests of analysis.triggers."""
