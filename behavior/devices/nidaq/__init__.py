"""Devices on an NI X series card."""

from behavior.devices.nidaq.ball import Ball
from behavior.devices.nidaq.board import Board
from behavior.devices.nidaq.devices import (
    ArmedValve,
    Camera,
    Lick,
    Line,
    Output,
    TriggerLine,
    Valve,
    Wheel,
)

__all__ = [
    "ArmedValve",
    "Ball",
    "Board",
    "Camera",
    "Lick",
    "Line",
    "Output",
    "TriggerLine",
    "Valve",
    "Wheel",
]
