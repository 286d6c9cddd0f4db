"""The devices in the control of a person, without an animal: flush, check, calibrate."""
