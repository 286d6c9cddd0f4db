"""The simulated microscope: a frame and a pulse a tick, in a file as ScanImage's."""

import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import tifffile

from acquisition.closed import pages_in
from acquisition.mesoscope import Mesoscope
from rig.clock import SetClock
from rig.messages import Message, Position, Pulse, Start, TrialEnd, TrialStart
from rig.refused import Refused

SHIPPED = Path(__file__).parents[2] / "rig" / "setups" / "simulated_cells.csv"
FRAME_NS = 333_333_333


@pytest.fixture(autouse=True)
def session_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(SHIPPED, tmp_path / "cells.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(**table: Any) -> Mesoscope.Settings:
    return msgspec.convert({"cells_file": "cells.csv", **table}, Mesoscope.Settings)


def start(seed: int = 1, **more: Any) -> Start:
    return Start(0, {"seed": seed, "ring": None, **more})


def trial(stimulus: str, number: int = 0) -> TrialStart:
    return TrialStart(0, number, stimulus, None, False, 4.0, 2.0, None, "none", 0.0)


def at(position_m: float, moving: bool = True, number: int = 0) -> Position:
    return Position(0, number, position_m, 60.0, moving, "corridor")


def begun(said: list[Message], **table: Any) -> Mesoscope:
    node = Mesoscope(settings(**table), said.append)
    node.clock = SetClock()
    node.open()
    return node


def recorded(words: list[Message], frames: int = 30, seed: int = 1, **table: Any) -> Any:
    """Return the frames of a microscope that has heard these words."""
    node = begun([], **table)
    for word in [start(seed), *words]:
        node.hear(word)  # type: ignore[arg-type]
    for i in range(frames):
        node.tick(i * FRAME_NS)
    node.close()
    path = sorted(Path("imaging").glob("*.tif"))[-1]
    return tifffile.imread(path)


@pytest.mark.parametrize("link", ["pre", "post"])
def test_each_tick_after_start_saves_a_frame_and_pulses(link: str) -> None:
    said: list[Message] = []
    node = begun(said, link=link, height_px=130, width_px=140)
    node.tick(0)
    assert said == []
    node.hear(start(began="2025-05-06T07:08:09.125+02:00"))
    times = [1_000_000_000 + i * FRAME_NS for i in range(4)]
    for now in times:
        node.tick(now)
    node.close()
    assert said == [Pulse(now, "frame_clock") for now in times]
    (path,) = Path("imaging").glob("*.tif")
    assert pages_in(path) == 4
    with tifffile.TiffFile(path) as file:
        assert file.asarray().shape == (4, 130, 140)
        texts = [page.description for page in file.pages]  # type: ignore[union-attr]
    for i, text in enumerate(texts):
        assert f"frameNumbers = {i + 1}\n" in text
        assert f"frameTimestamps_sec = {i * FRAME_NS / 1e9:.9f}\n" in text
        assert "epoch = [2025 05 06 07 08 9.125]" in text


def test_it_ticks_as_often_as_its_frame_rate_says() -> None:
    assert Mesoscope(settings(), print).period_s == pytest.approx(1 / 3)
    assert Mesoscope(settings(frame_rate_hz=10), print).period_s == pytest.approx(0.1)


def test_the_same_seed_gives_the_same_frames() -> None:
    words: list[Message] = [trial("leaf1"), at(1.0)]
    first, again, other = (recorded(words, frames=3, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize(
    ("words", "answers"),
    [
        ([trial("leaf1"), at(2.0)], True),
        ([trial("leaf1"), at(2.0, moving=False)], False),
        ([trial("leaf1"), at(4.5)], False),
        ([trial("leaf1"), at(2.0), TrialEnd(0, 0, "done")], False),
        ([at(2.0)], False),
        ([at(2.0), trial("leaf1", number=1)], False),
        ([trial("leaf1", number=1), at(2.0, number=0)], False),
        ([trial("grating"), at(2.0)], False),
    ],
)
def test_leaf_cells_answer_while_the_animal_runs_in_leaves(
    words: list[Message], answers: bool
) -> None:
    """Bright leaf1 cells against the same field at rest: by half, or within the noise."""
    rows = [row.split(",") for row in SHIPPED.read_text().splitlines()[1:]]
    y, x = np.mgrid[:128, :128]
    leaf = np.zeros((128, 128), bool)
    for _, y_px, x_px, radius_px, prefers, _ in rows:
        if prefers == "leaf1":
            leaf |= np.hypot(y - float(y_px), x - float(x_px)) <= float(radius_px)
    resting = recorded([])[10:].mean(0)[leaf].mean()
    seen = recorded(words)[10:].mean(0)[leaf].mean()
    assert (seen > 1.3 * resting) == answers
    assert answers or seen == pytest.approx(resting, rel=0.05)


def test_a_second_life_begins_a_second_file() -> None:
    first = recorded([], frames=2)
    recorded([], frames=3)
    paths = sorted(Path("imaging").glob("*.tif"))
    assert [pages_in(path) for path in paths] == [2, 3]
    np.testing.assert_array_equal(tifffile.imread(paths[0]), first)


def test_a_folder_that_cannot_be_written_to_is_refused(session_folder: Path) -> None:
    (session_folder / "imaging").write_text("a file where the folder should be")
    with pytest.raises(Refused, match="imaging folder imaging cannot be written to"):
        begun([])


def test_it_closes_without_having_begun() -> None:
    begun([]).close()
    assert list(Path("imaging").iterdir()) == []


@pytest.mark.parametrize(
    "wrong",
    [{"frame_rate_hz": 0}, {"link": "both"}, {"height_px": 3}, {"cells_file": ""}, {"gain": 2}],
)
def test_wrong_settings_are_errors(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        settings(**wrong)
