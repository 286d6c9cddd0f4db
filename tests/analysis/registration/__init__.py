"""Tests of analysis.registration."""
