"""Tests of the task, the water guard, the devices and the simulated mice."""
