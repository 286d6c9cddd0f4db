"""Tests of behavior/trials."""
