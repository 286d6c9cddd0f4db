"""The devices in the hands of a person, without an animal: flush, check, calibrate."""
