"""Benches of the devices: the hardware loop, cards, boards, firmware."""
