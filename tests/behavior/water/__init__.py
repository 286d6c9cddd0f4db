"""Tests of everything between a reward request and an open valve."""
