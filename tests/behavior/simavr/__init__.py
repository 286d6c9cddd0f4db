"""The firmware in a simulated ATmega328P: its serial line a pty, its pins in a test's hands."""
