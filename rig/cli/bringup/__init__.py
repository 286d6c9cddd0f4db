"""Commands that bring up a rig and calibrate it."""
