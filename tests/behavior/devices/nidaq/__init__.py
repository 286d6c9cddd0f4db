"""Tests of NI cards, on a simulated card."""
