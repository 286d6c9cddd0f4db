"""rig bench: how fast the parts are on this machine, as percentiles and ratios in one run."""


def bench() -> None:
    """Measure the wire."""
