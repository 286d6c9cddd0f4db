"""Operate the devices by hand, without an animal: flush, check, calibrate."""
