"""Benchmarks of the devices: the hardware loop, NI cards, Harp boards, our firmware."""
