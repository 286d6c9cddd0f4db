"""Tests of analysis.detection."""
