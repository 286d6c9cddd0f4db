"""Tests of rig/."""
