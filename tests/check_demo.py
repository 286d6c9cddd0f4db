"""Check the summary of the newest demo session: `python -m tests.check_demo data/sub-demo`."""

import json
import sys
from pathlib import Path


def check(subject: Path) -> None:
    """Raise AssertionError unless the session did what a demo must."""
    newest = max(subject.glob("ses-*/summary.json"), key=lambda path: path.stat().st_mtime)
    summary = json.loads(newest.read_text())
    print(f"{newest}: ended: {summary['end_reason']}")
    assert summary["end_reason"] == "all trials done"
    assert sum(trial["outcome"] == "done" for trial in summary["trials"]) == 5
    assert summary["rewards"] >= 1
    assert summary["licks"] >= 1
    frames = {summary[f"frames_{how}"] for how in ("written", "streamed", "analysed")}
    assert len(frames) == 1
    assert frames.pop() > 100
    assert summary["gaps"] == 0
    assert summary["faults"] == []
    assert summary["flips"] > 1000


if __name__ == "__main__":
    check(Path(sys.argv[1]))
