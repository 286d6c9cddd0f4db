"""The parts of a continued session read back as the session that was not interrupted."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from analysis.export.contents import read_contents
from analysis.session import Session
from analysis.session.parts import parts_of
from rig.cli.data.manifest import manifest_of, write_manifest
from rig.cli.main import app
from rig.errors import Refused
from rig.messages import (
    CellSignals,
    Frame,
    Message,
    Start,
    Stop,
    TrialStart,
    Valve,
    Wheel,
)
from tests.analysis.export import recorded
from tests.analysis.logs import MS, enveloped, learning, write_log

BEGAN = datetime.fromisoformat(recorded.BEGAN)
CUT = 3
"""The first trial of the second part."""
LATER_MS = 100_000
"""How much later the zero of the second part is, ms."""


def messages(cut_trial: bool) -> list[Message]:
    """Four corridors; with `cut_trial` the third one is interrupted and repeated."""
    found: list[Message] = []
    begin_ms, number = 6_000, 0
    for stimulus in recorded.STIMULI:
        if cut_trial and number == CUT - 1:
            cut = recorded.trial(number, stimulus, begin_ms)[:10]
            found += cut
            number, begin_ms = number + 1, begin_ms + 200_000
        found += recorded.trial(number, stimulus, begin_ms)
        number += 1
        begin_ms += recorded.TRIAL_FRAMES * recorded.FRAME_MS + 300
        if not cut_trial and number == CUT:
            begin_ms += 200_000
    found += recorded.signals(found)
    return sorted(found, key=lambda message: message.t)


def second_part(found: list[Message]) -> list[Message]:
    """Return messages as a process of the second part publishes them: new numbers and times."""
    first_frame = next(m.index for m in found if isinstance(m, Frame))
    own: list[Message] = []
    for message in found:
        changes: dict[str, Any] = {"t": message.t - LATER_MS * MS}
        match message:
            case Wheel():
                changes |= {"cm": message.cm - 575.0, "counts": message.counts - 230}
            case Frame():
                changes |= {"index": message.index - first_frame}
            case CellSignals():
                changes |= {"frame": message.frame - first_frame}
                changes |= {"scanned_t": message.scanned_t - LATER_MS * MS}
            case Valve():
                assert message.lick_t is not None
                changes |= {"lick_t": message.lick_t - LATER_MS * MS}
        own.append(msgspec.structs.replace(message, **changes))
    return own


def write_part(
    subject: Path, name: str, found: list[Message], session: dict[str, Any], reason: str
) -> Path:
    folder = subject / name
    folder.mkdir(parents=True)
    rows = [f"{n},{2 + n},{2 + n},1.5,{area}" for n, area in enumerate(recorded.AREAS)]
    (folder / "cells.csv").write_text("cell,y_px,x_px,radius_px,area\n" + "\n".join(rows))
    (folder / "settings.json").write_text(json.dumps(session))
    last = found[-1].t
    final = learning(last, 0, np.zeros(recorded.CELLS, np.float32), final=True)
    stop = Stop(last, reason, ("task",))
    return write_log(folder, enveloped([Start(0, session), *found, final, stop]))


def two_parts(tmp_path: Path, cut_trial: bool = False, **second: Any) -> tuple[Path, Session]:
    """Write a session in two parts; return the last one's folder, and the whole session."""
    found = messages(cut_trial)
    border = next(m.t for m in found if isinstance(m, TrialStart) and m.trial == CUT)
    session = dict(recorded.start().session) | {"t0_ns": 5_000_000_000}
    session |= {"rig": {"name": "r", "disk_mb_s": 1.0}}
    later = BEGAN + timedelta(milliseconds=LATER_MS)
    part = session | {"id": "second", "continues": session["id"], "began": later.isoformat()}
    part |= {"t0_ns": 5_000_000_000 + LATER_MS * MS} | second
    subject = tmp_path / "sub-VR2"
    before = [m for m in found if m.t < border]
    after = second_part([m for m in found if m.t >= border])
    write_part(subject, "ses-20260304_2", before, session, "the hub died")
    folder = write_part(subject, "ses-20260304_3", after, part, "all trials done")
    whole = write_part(tmp_path, "whole", found, session | {"id": "whole"}, "all trials done")
    return folder, Session(whole)


@pytest.mark.parametrize("cut_trial", [False, True])
@pytest.mark.parametrize(
    "table", ["trials", "licks", "rewards", "position", "verdicts", "frames", "decoded"]
)
def test_the_parts_read_back_as_one_session(tmp_path: Path, table: str, cut_trial: bool) -> None:
    folder, whole = two_parts(tmp_path, cut_trial)
    joined, expected = getattr(Session(folder), table), getattr(whole, table)
    computed = ["selective_fraction", "defined", "tuned", "undefined", "projection", "ramp"]
    computed += ["area_activity", "area_projection"]
    kept = [name for name in expected.columns if name not in ("file", "id", *computed)]
    pd.testing.assert_frame_equal(joined[kept], expected[kept], check_exact=False)
    if table == "frames":
        first, *_, last = joined.file
        assert (first, last) == ("../ses-20260304_2/imaging/a.tif", "imaging/a.tif")


def test_the_traces_and_the_distance_continue(tmp_path: Path) -> None:
    folder, whole = two_parts(tmp_path)
    joined = Session(folder)
    assert np.array_equal(joined.traces, whole.traces)
    for name in ("cm", "counts"):
        assert joined.wheel[name].to_numpy() == pytest.approx(whole.wheel[name].to_numpy())
    assert joined.settings["began"] == recorded.BEGAN
    assert joined.end_reason == "all trials done"
    assert joined.completeness is not None
    assert joined.completeness.whole
    assert joined.gaps.total() == 0


@pytest.mark.parametrize("cut_trial", [False, True])
def test_the_signals_are_those_of_all_trials(tmp_path: Path, cut_trial: bool) -> None:
    folder, whole = two_parts(tmp_path, cut_trial)
    joined = Session(folder)
    last = joined.learning.iloc[-1]
    assert (last.final, last.trials) == (True, 4)
    assert len(joined.learning) == 5
    done = whole.trials[whole.trials.outcome == "done"]
    texture = whole.decoded[(whole.decoded.position_m < 4.0) & whole.decoded.moving]
    a, b = (
        whole.traces[texture.index[texture.trial.isin(done.trial[done.stimulus == name])]]
        for name in ("leaf1", "circle1")
    )
    d_prime = 2 * (a.mean(0) - b.mean(0)) / (a.std(0) + b.std(0))
    assert joined.d_prime[-1] == pytest.approx(d_prime, abs=1e-4)


def test_an_export_holds_all_parts(tmp_path: Path) -> None:
    folder, _ = two_parts(tmp_path, cut_trial=True)
    contents = read_contents(folder)
    assert list(contents.trials.trial) == [0, 1, 3, 4]
    assert contents.began == BEGAN


def test_all_sessions_of_an_animal_have_a_continued_one_once(tmp_path: Path) -> None:
    """Also if it was continued twice, because the first attempt ended before it began."""
    folder, _ = two_parts(tmp_path)
    settings = json.loads((folder / "settings.json").read_text()) | {"id": "attempt"}
    attempt = folder.with_name("ses-20260304_4")
    attempt.mkdir()
    (attempt / "settings.json").write_text(json.dumps(settings))
    write_log(attempt, [])
    done = export(tmp_path, "csv", "--subject", "VR2", "--to", tmp_path / "all")
    assert done.exit_code == 0, done.output
    assert [path.name for path in (tmp_path / "all").iterdir()] == [folder.name]
    trials = pd.read_csv(tmp_path / "all" / folder.name / "trials.csv")
    assert list(trials.trial) == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["ses-20260304_2", "ses-20260304_3"])
def test_an_export_checks_the_manifest_of_every_part(tmp_path: Path, name: str) -> None:
    folder, _ = two_parts(tmp_path)
    changed = folder.with_name(name)
    write_manifest(changed, manifest_of(changed))
    assert export(tmp_path, folder, "csv").exit_code == 0
    with (changed / "cells.csv").open("a") as file:
        file.write("\n")
    done = export(tmp_path, folder, "csv")
    assert isinstance(done.exception, Refused)
    assert f"{changed}: cells.csv was changed" in str(done.exception)
    assert export(tmp_path, folder, "csv", "--partial").exit_code == 0


def export(data: Path, *arguments: object) -> Result:
    return CliRunner().invoke(app, ["export", *map(str, arguments), "--data", str(data)])


def test_a_part_can_be_read_alone(tmp_path: Path) -> None:
    folder, _ = two_parts(tmp_path)
    assert list(Session(folder, alone=True).trials.trial) == [CUT]
    assert len(Session(folder.with_name("ses-20260304_2")).trials) == CUT


def test_after_a_restart_of_the_machine_the_wall_clock_gives_the_offset(tmp_path: Path) -> None:
    folder, _ = two_parts(tmp_path, t0_ns=7)
    assert [part.offset_ns for part in parts_of(folder)] == [0, LATER_MS * MS]


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    folder, _ = two_parts(tmp_path)
    folder.with_name("ses-20260304_2").rename(tmp_path / "elsewhere")
    with pytest.raises(Refused, match="put its folder back beside it"):
        _ = Session(folder).trials
