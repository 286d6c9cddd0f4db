"""Check before a session that the rig can give the water that the task requires."""

import math
from collections.abc import Mapping
from datetime import date
from typing import Any

from behavior.devices.protocols import Lick, Valve, ValveSettings
from rig.errors import Refused

_DEFAULT_REWARD_UL = 3.0
"""Assumed volume of a reward, microlitres, if the task does not give one."""


def reward_volumes_ul(task: dict[str, Any]) -> list[float]:
    """Return the reward volume of each block of a task, in microlitres."""
    default = task.get("reward_ul", _DEFAULT_REWARD_UL)
    return [float(block.get("reward_ul", default)) for block in task.get("blocks") or [{}]]


class WaterChecks:
    """Checks of a task against the spouts and valves of a setup; no device is opened."""

    def __init__(
        self, licks: Mapping[str, Lick], valves: Mapping[str, Valve], max_open_ms: float
    ) -> None:
        self._licks, self._valves, self._max_open_ms = licks, valves, max_open_ms

    def check(self, task: dict[str, Any]) -> None:
        """Check spout, calibration and reward volume, if the task's cohort gets water.

        Raises:
            Refused: The rig cannot give the water of the task.
        """
        if task.get("cohort") not in task.get("water_for", ()):
            return
        spout = str(task["spout"])
        self._check_spout(spout)
        self._check_calibration(spout)
        for volume_ul in reward_volumes_ul(task):
            self._check_volume(spout, volume_ul)

    def _check_spout(self, spout: str) -> None:
        lines: dict[str, Mapping[str, Any]] = {"lick": self._licks, "valve": self._valves}
        for kind, known in lines.items():
            if spout not in known:
                raise Refused(
                    f'the task has spout = "{spout}", but the setup has no [nodes.hardware.{kind}.'
                    f"{spout}] (it has: {', '.join(known) or 'none'}); correct spout, or add that "
                    "table"
                )

    def _check_calibration(self, spout: str) -> None:
        valve = self._valves[spout]
        day = valve.settings.calibrated
        if not day and not valve.simulated:
            raise Refused(
                f"valve {spout} was never calibrated, so its volumes are unknown; run: "
                f"rig calibrate valve SETUP --valve {spout}"
            )
        try:
            date.fromisoformat(day or "2000-01-01")
        except ValueError as error:
            raise Refused(
                f"[nodes.hardware.valve.{spout}] calibrated = {day!r} is not a date; "
                "write it as 2026-11-24"
            ) from error

    def _check_volume(self, spout: str, reward_ul: float) -> None:
        settings = self._valves[spout].settings
        open_ms = settings.open_ms(reward_ul)
        if open_ms > self._max_open_ms:
            raise Refused(
                f"the task has reward_ul = {reward_ul:g}, which would open valve {spout} for "
                f"{open_ms:g} ms, longer than guard.max_open_ms = {self._max_open_ms:g}; "
                f"set reward_ul to {_largest_ul(settings, self._max_open_ms):g} or less, "
                "or calibrate the valve"
            )


def _largest_ul(valve: ValveSettings, max_open_ms: float) -> float:
    """Return the largest volume in whole nanolitres whose pulse is within the limit."""
    nl = math.floor((max_open_ms - valve.dead_ms) * valve.ul_per_ms * 1000)
    # Because of rounding, the floor itself may be just above the limit.
    return next(n / 1000 for n in (nl, nl - 1) if valve.open_ms(n / 1000) <= max_open_ms)
