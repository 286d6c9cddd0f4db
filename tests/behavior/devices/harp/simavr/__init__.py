"""The firmware in a simulated ATmega328P, with its serial line on a pseudo-terminal."""
