"""Tests of behavior/judging."""
