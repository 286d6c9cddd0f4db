"""python -m tests.behavior.devices.bench: from a lick to the open valve on simulated boards."""
