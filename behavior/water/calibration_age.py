"""Find calibrations of a rig that are missing or too old."""

from collections.abc import Mapping
from datetime import date

from behavior.devices.protocols import Valve, Wheel

STALE_DAYS = 30
"""Age of a calibration above which there is a warning, days."""


def stale_calibrations(wheel: Wheel, valves: Mapping[str, Valve], today: date) -> list[str]:
    """Return a warning for each old or missing calibration.

    A real valve without a calibration is refused by `WaterChecks` instead.
    """
    days = {
        f"valve {name}": (valve.settings.calibrated, f"valve SETUP --valve {name}")
        for name, valve in valves.items()
    }
    days["the wheel"] = (wheel.settings.calibrated, "wheel SETUP --around-cm CM")
    warnings = []
    for device, (day, arguments) in days.items():
        age = (today - date.fromisoformat(day)).days if day else 0
        if age > STALE_DAYS:
            warnings.append(
                f"{device} was calibrated {age} days ago; repeat it: rig calibrate {arguments}"
            )
    if not wheel.settings.calibrated and not wheel.simulated:
        warnings.append(
            "the wheel was never calibrated, so distances may be wrong; run: "
            f"rig calibrate {days['the wheel'][1]}"
        )
    return warnings
