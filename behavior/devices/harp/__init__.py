"""Devices on a Harp Behavior board, or on our own board, which uses the same protocol."""

from behavior.devices.harp.board import Board
from behavior.devices.harp.devices import Camera, Lick, Line, Output, TriggerLine, Wheel
from behavior.devices.harp.valves import ArmedValve, Valve

__all__ = [
    "ArmedValve",
    "Board",
    "Camera",
    "Lick",
    "Line",
    "Output",
    "TriggerLine",
    "Valve",
    "Wheel",
]
