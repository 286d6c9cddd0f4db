"""Time lick to valve on the simulated NI card, Harp board and firmware; --json for programs."""

import sys
from collections.abc import Iterator

from rig.cli.bench.harness import Row, row, show
from tests.behavior.devices.bench import firmware, nidaq, serial_board
from tests.behavior.devices.harp.simavr.avr import missing


def main() -> None:
    """Measure each board and print the table."""
    rows = [
        row(name if name.startswith(" ") else f"{bench.NAME}{name}", values_ms)
        for bench in (nidaq, serial_board)
        for name, values_ms in bench.measure()
    ]
    rows += _firmware_rows()
    show("lick to valve on simulated boards", rows, "--json" in sys.argv)


def _firmware_rows() -> Iterator[Row]:
    if lack := missing():
        yield row(firmware.NAME, [], under={"p50": 0.05}, note=f"not measured: needs {lack}")
        return
    opened_ms, residuals_ms = firmware.measure()
    yield row(firmware.NAME, opened_ms, under={"p50": 0.05})
    yield row("  clock fit, residual", residuals_ms)


if __name__ == "__main__":
    main()
