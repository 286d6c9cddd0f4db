"""A setup by itself, for verbs that handle what is bolted down without an animal."""

from pathlib import Path

from rig.config import Session, convert, read_setup
from rig.refused import Refused


def bolted_down(setup: Path) -> Session:
    """Return a session of a setup's devices alone: no animal, no task. Raises Refused."""
    tree = read_setup(setup)
    if "hardware" not in tree["nodes"]:
        raise Refused(f"{setup} has no [nodes.hardware], so there is no device in it")
    alone = {"subject": "nobody", "seed": 0, "task_name": "", "task": {}}
    return convert({**tree, **alone}, Session, str(setup))
