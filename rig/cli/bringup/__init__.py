"""Commands that bring up, check and calibrate a rig."""
