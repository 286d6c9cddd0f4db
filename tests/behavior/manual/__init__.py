"""Tests of the commands that operate devices by hand."""
