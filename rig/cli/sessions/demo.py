"""rig demo: one simulated imaging session of a task mouse, which takes about a minute."""

from pathlib import Path

from rich.text import Text

import rig
from rig.cli.sessions.run import Data, Seed, Sets, run_session
from rig.cli.terminal import new_console
from rig.session.live_page import Page

_TRIALS = 5


def demo(data: Data, seed: Seed = 1, sets: Sets = None) -> None:
    """Run a simulated imaging session of five trials; it takes about a minute."""
    from stimuli.window.display_requirements import missing

    new_console().print(
        "A simulated task mouse runs five corridors, about a minute. Keys: see below."
    )
    changes = [f"task.trials={_TRIALS}", "task.minutes=10"]
    if (lack := missing()) is not None:
        new_console().print(Text(f"The display is off: {lack}", "bold red"))
        changes.append("nodes.display.screen={is='stimuli.window:SimulatedScreen'}")
    package = Path(rig.__file__).parent
    setup = package / "setups" / "simulated.toml"
    task = package.parent / "behavior" / "tasks" / "train1.toml"
    changes += sets or []
    run_session(setup, task, "demo", seed, data, changes, page=Page.SERVED)
