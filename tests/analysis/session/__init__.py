"""Tests of analysis.session."""
