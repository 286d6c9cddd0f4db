"""Seeded random faults over short simulated sessions, and what must hold whatever happens.

`python -m tests.faults.chaos --seed N` carries out one plan; `--seeds 1-100` a hundred of them.
"""
