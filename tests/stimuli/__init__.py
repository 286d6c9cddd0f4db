"""Tests of the display, its textures, its screens and its sound."""
