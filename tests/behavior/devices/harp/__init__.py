"""Tests of Harp boards, real protocol and simulated hardware."""
