"""Seeded random faults in short simulated sessions, and the checks that must still pass."""
