"""rig chaos: inject random faults into simulated sessions, and check that nothing is lost."""

import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from rig.cli.chaos.plan import Plan, kill_plan, make_plan
from rig.cli.numbers import whole_number
from rig.cli.terminal import new_console
from rig.errors import Refused

_MAX_SEEDS = 10_000


def chaos(
    seed: Annotated[
        int | None,
        typer.Option(parser=whole_number(0, 2**63 - 1), help="Seed of one plan."),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="A-B", help="Seeds of several plans, such as 1-100.")
    ] = None,
    kills: Annotated[
        str | None,
        typer.Option(
            metavar="A-B", help="Points at which one process is killed, such as 1-200, or 57."
        ),
    ] = None,
    plan_only: Annotated[
        bool, typer.Option("--plan", help="Print the plans and do nothing.")
    ] = False,
    keep: Annotated[
        Path | None, typer.Option(help="Folder for the sessions of plans that fail.")
    ] = None,
) -> None:
    """Inject random faults into simulated sessions and check the results; for developers.

    Kills, stops, garbage, full disks, damaged files and restarts are drawn from the seed.

    The sessions are in a temporary folder. Do not run this during a real session.

    Exit code 1: a check failed; the seeds that failed are printed.
    """
    if (seed, seeds, kills).count(None) != 2:
        raise Refused("give one of --seed, --seeds and --kills, for example --seeds 1-5")
    if not Path("/proc/self/fd").exists():
        raise Refused("rig chaos needs features of Linux to stop processes; run it on Linux")
    console = new_console()
    option = "--kills" if kills is not None else "--seed"
    numbers = [seed] if seed is not None else _range(seeds or kills or "", option)
    failed = []
    for number in numbers:
        plan = kill_plan(number) if option == "--kills" else make_plan(number)
        console.print(str(plan), soft_wrap=True)
        if not plan_only and not _holds(plan, keep, console):
            failed.append(number)
    if failed:
        for number in failed:
            console.print(Text(f"failed: rig chaos {option} {number}", "bold red"), soft_wrap=True)
        raise typer.Exit(1)


def _holds(plan: Plan, keep: Path | None, console: Console) -> bool:
    """Carry out a plan and print the checks that failed; return True if none failed."""
    from rig.cli.chaos.run_plan import carry_out, true_pulses

    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        root = Path(folder)
        problems = carry_out(plan, root)
        rewards = len(true_pulses(root))
        if problems and keep is not None:
            shutil.copytree(root, keep / f"seed-{plan.seed}", dirs_exist_ok=True)
    took_s = time.monotonic() - began_s
    for problem in problems:
        console.print(Text(f"  FAILED: {problem}", "bold red"), soft_wrap=True)
    verdict = f"{len(problems)} checks failed" if problems else "all held"
    console.print(f"seed {plan.seed}: {verdict} ({rewards} rewards, {took_s:.0f} s)")
    return not problems


def _range(text: str, option: str) -> range:
    """Return the numbers from A to B in "A-B", or A alone. Raises Refused if it is no range."""
    found = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", text, re.ASCII)
    numbers = range(int(found[1]), int(found[2] or found[1]) + 1) if found else range(0)
    if not 0 < len(numbers) <= _MAX_SEEDS:
        name = "--seeds" if option == "--seed" else option
        raise Refused(
            f'{name} "{text}" is not a range of at most {_MAX_SEEDS} numbers; write it as 1-100'
        )
    return numbers
