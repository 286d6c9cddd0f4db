"""Seeded random faults over short simulated sessions, and what must hold whatever happens."""
