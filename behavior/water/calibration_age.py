"""Which calibrations of a rig are too old to be relied on, or were never made."""

from collections.abc import Mapping
from datetime import date

from behavior.devices.protocols import Valve, Wheel

STALE_DAYS = 30
"""A calibration older than this is warned of."""


def stale(wheel: Wheel, valves: Mapping[str, Valve], today: date) -> list[str]:
    """Return a sentence for each; a real valve that was never weighed is refused elsewhere."""
    days = {
        f"valve {name}": (valve.settings.calibrated, f"valve SETUP --valve {name}")
        for name, valve in valves.items()
    }
    days["the wheel"] = (wheel.settings.calibrated, "wheel SETUP --around-cm CM")
    said = []
    for what, (day, how) in days.items():
        old = (today - date.fromisoformat(day)).days if day else 0
        if old > STALE_DAYS:
            said.append(f"{what} was calibrated {old} days ago; do it again: rig calibrate {how}")
    if not wheel.settings.calibrated and not wheel.simulated:
        how = days["the wheel"][1]
        said.append(
            "the wheel was never calibrated: its centimetres are those of the setup's author; do "
            f"it: rig calibrate {how}"
        )
    return said
