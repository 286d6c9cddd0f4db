"""Simulated devices; no real animal may run on them."""

from behavior.devices.simulated.board import Board
from behavior.devices.simulated.devices import (
    SPOUT,
    ArmedValve,
    Ball,
    Camera,
    Lick,
    Line,
    Output,
    Photodiode,
    TriggerLine,
    Valve,
    Wheel,
)

__all__ = [
    "SPOUT",
    "ArmedValve",
    "Ball",
    "Board",
    "Camera",
    "Lick",
    "Line",
    "Output",
    "Photodiode",
    "TriggerLine",
    "Valve",
    "Wheel",
]
