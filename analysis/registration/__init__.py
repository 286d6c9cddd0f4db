"""Measure and undo the motion of the brain."""
