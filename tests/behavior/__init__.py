"""Tests of the task, the guard of the water, the devices and the mice."""
