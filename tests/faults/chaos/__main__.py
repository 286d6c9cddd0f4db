"""Command of the chaos tests: `python -m tests.faults.chaos --seed 3`, or `--seeds 1-100`."""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.chaos.plan import make_plan
from tests.faults.chaos.trial_of_seed import carry_out, true_pulses


def main() -> None:
    """Carry out the plan of each seed; exit with 1 and print the seeds that failed, if any did."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="one seed")
    parser.add_argument("--seeds", type=_seeds, help="a range of seeds, such as 1-100")
    parser.add_argument("--plan", action="store_true", help="print the plans and do nothing")
    parser.add_argument("--keep", type=Path, help="folder for the sessions of seeds that fail")
    options = parser.parse_args()
    if (options.seed is None) == (options.seeds is None):
        parser.error("give --seed or --seeds")
    failed = []
    for seed in options.seeds or [options.seed]:
        if options.plan:
            print(make_plan(seed))
        elif not _holds(seed, options.keep):
            failed.append(seed)
    if failed:
        sys.exit(f"failed: {', '.join(f'--seed {seed}' for seed in failed)}")


def _holds(seed: int, keep: Path | None) -> bool:
    """Carry out the plan of a seed and print what did not hold; return whether all did."""
    plan = make_plan(seed)
    print(plan, flush=True)
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        root = Path(folder)
        problems = carry_out(plan, root)
        rewards = len(true_pulses(root))
        if problems and keep is not None:
            shutil.copytree(root, keep / f"seed-{seed}", dirs_exist_ok=True)
    took_s = time.monotonic() - began_s
    for problem in problems:
        print(f"  FAILED: {problem}")
    verdict = f"{len(problems)} things did not hold" if problems else "all held"
    print(f"seed {seed}: {verdict} ({rewards} rewards, {took_s:.0f} s)", flush=True)
    return not problems


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


if __name__ == "__main__":
    main()
