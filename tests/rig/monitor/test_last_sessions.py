"""The animal's last sessions are shown beside the current one."""

import json
from pathlib import Path

from rig.cli.sessions.page.last_sessions import last_sessions


def session(folder: Path, summary: str | None) -> Path:
    folder.mkdir(parents=True)
    (folder / "log.mcap").touch()
    if summary is not None:
        (folder / "summary.json").write_text(summary)
    return folder


def test_the_last_sessions_are_the_newest_before_this_one(tmp_path: Path) -> None:
    for day, trials in (("20261101_1", 10), ("20261101_10", 12), ("20261101_2", 11)):
        responses = {"leaf1": [trials, 20]}
        found = {"task": "train1", "trials_done": trials, "responses": responses, "water_ul": 9.5}
        session(tmp_path / f"ses-{day}", json.dumps(found))
    session(tmp_path / "ses-20261102_1", None)
    session(tmp_path / "ses-20261102_2", "{torn")
    session(tmp_path / "ses-20261104_1", json.dumps({"task": "later"}))
    rows = last_sessions(session(tmp_path / "ses-20261103_1", None))
    assert [row["day"] for row in rows] == ["20261101_10", "20261101_2", "20261101_1"]
    assert rows[0]["responses"] == {"leaf1": [12, 20]}
    assert (rows[0]["task"], rows[0]["trials"], rows[0]["water_ul"]) == ("train1", 12, 9.5)
