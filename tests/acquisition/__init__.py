"""Tests of acquisition/."""
