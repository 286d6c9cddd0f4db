"""Mice for a simulated rig: a simulated mouse, and a mouse that replays a recording."""

from behavior.animals.recorded_mouse import RecordedMouse
from behavior.animals.simulated_mouse import SimulatedMouse

__all__ = ["RecordedMouse", "SimulatedMouse"]
