"""Names of lines, counters and terminals, as on an X series card."""

import re

from tests.behavior.devices.nidaq.simulated_card.tasks import DaqError

OUT = {f"ctr{n}": f"PFI{12 + n}" for n in range(4)}
"""Default output terminal of each counter."""
IN = {"ctr0": "PFI8", "ctr1": "PFI3", "ctr2": "PFI0", "ctr3": "PFI5"}
"""Default input terminal of each counter."""


def as_port(pfi: str) -> str:
    """Return the line of port1 or port2 that is the same as a PFI terminal."""
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
