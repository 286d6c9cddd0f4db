"""What the simulated card calls its lines, counters and terminals: as an X series card does."""

import re

from tests.behavior.nicard.tasks import DaqError

OUT = {f"ctr{n}": f"PFI{12 + n}" for n in range(4)}
"""Where a counter's output comes out by itself."""
IN = {"ctr0": "PFI8", "ctr1": "PFI3", "ctr2": "PFI0", "ctr3": "PFI5"}
"""What a counter counts by itself."""


def as_port(pfi: str) -> str:
    """Return the line of port1 or port2 that is a PFI terminal's other name."""
    number = int(pfi.removeprefix("PFI"))
    return f"port{1 + number // 8}/line{number % 8}"


def on_card(path: str, device: str, counters: int) -> str:
    """Return a channel's or terminal's name on this card. Raises DaqError."""
    of, _, name = path.strip().lstrip("/").partition("/")
    if of != device:
        raise DaqError(-200220, f"Device identifier is invalid. Device: {of}.")
    if re.fullmatch(r"\d+kHzTimebase|ChangeDetectionEvent", name):
        return name
    found = re.fullmatch(r"(port0/line|port[12]/line|ctr|PFI)(\d+)", name)
    limits = {"port0/line": 32, "ctr": counters, "PFI": 16}
    if found is None or int(found[2]) >= limits.get(found[1], 8):
        raise DaqError(-200170, f"Physical channel specified does not exist: {path}.")
    return name
