"""Tests of what the animal sees."""
