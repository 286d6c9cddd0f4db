"""The files that the study's own scripts read: names, shapes, units."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from analysis.export.contents import read_contents
from analysis.export.lab import (
    behavior_dict,
    experiment_type,
    incomplete_windows,
    session_key,
    warnings,
    write_lab,
)
from rig.errors import Refused
from rig.messages import Message, TrialStart
from rig.transport.log import LOG_FILE
from tests.analysis.export.recorded import (
    AREAS,
    CELLS,
    FRAME_MS,
    STIMULI,
    TRIAL_FRAMES,
    start,
    trial,
    whole_session,
    write,
)
from tests.kept_sessions import SCHEMAS, kept_session

KEY = "VR2_2026_03_04_2"
FRAMES = 5 * TRIAL_FRAMES
FRAME_ARRAYS = ("ft_move", "ft_trInd", "ft_WallID", "ft_PosCum", "ft_CorrSpc", "ft_GraySpc")
TRIAL_ARRAYS = (
    "WallName",
    "WallType",
    "isRew",
    "SoundPos",
    "SoundDelPos",
    "SoundTime",
    "SoundFr",
    "RewPos",
    "RewTime",
    "Trial_start_time",
    "Gray_space_time",
)
LICK_ARRAYS = ("LickPos", "LickTrind", "LickTime", "LickFr")


def loaded(path: Path) -> Any:
    return np.load(path, allow_pickle=True).item()


@pytest.fixture
def behavior(tmp_path: Path) -> dict[str, Any]:
    write_lab(read_contents(whole_session(tmp_path)), tmp_path / "lab")
    held: dict[str, Any] = loaded(tmp_path / "lab" / "beh" / "Beh_sup_train1.npy")
    assert list(held) == [KEY]
    session: dict[str, Any] = held[KEY]
    return session


def test_the_arrays_have_the_shapes_of_the_published_data(behavior: dict[str, Any]) -> None:
    assert {behavior[name].shape for name in FRAME_ARRAYS} == {(FRAMES,)}
    assert {behavior[name].shape for name in TRIAL_ARRAYS} == {(4,)}
    assert {behavior[name].shape for name in LICK_ARRAYS} == {(8,)}
    assert behavior["ntrials"] == 4
    assert behavior["ft_CorrSpc"].dtype == behavior["ft_GraySpc"].dtype == bool
    assert list(behavior["WallName"]) == list(STIMULI)
    assert list(behavior["UniqWalls"]) == ["circle1", "leaf1"]
    assert list(behavior["stim_id"]) == [0, 2]
    assert list(behavior["WallType"]) == ["leaf", "circle", "leaf", "circle"]
    assert list(behavior["isRew"]) == [True, False, True, False]
    assert behavior["Reward_Mode"] == "Active after cue"


def test_an_aborted_trial_gets_no_number_and_its_frames_are_not_moving(
    behavior: dict[str, Any],
) -> None:
    aborted = slice(2 * TRIAL_FRAMES, 3 * TRIAL_FRAMES)
    assert np.isnan(behavior["ft_trInd"][aborted]).all()
    assert not behavior["ft_move"][aborted].any()
    assert not (behavior["ft_CorrSpc"] | behavior["ft_GraySpc"])[aborted].any()
    kept = np.delete(behavior["ft_trInd"], np.arange(FRAMES)[aborted])
    np.testing.assert_array_equal(kept, np.repeat(np.arange(4), TRIAL_FRAMES))
    moving = behavior["ft_PosCum"][behavior["ft_move"]]
    assert (np.diff(moving) > 0).all()
    assert moving[TRIAL_FRAMES] == 60.0


def test_positions_are_decimetres_and_times_date_numbers(behavior: dict[str, Any]) -> None:
    np.testing.assert_allclose(behavior["SoundPos"], 20.0)
    np.testing.assert_allclose(behavior["SoundDelPos"], 20.0 + 60.0 * np.arange(4))
    np.testing.assert_allclose(behavior["LickPos"], np.tile([22.5, 25.0], 4))
    np.testing.assert_array_equal(behavior["LickTrind"], np.repeat(np.arange(4), 2))
    np.testing.assert_allclose(behavior["RewPos"], [22.5, np.nan, 22.5, np.nan])
    ten_am = datetime(2026, 3, 4).toordinal() + 366 + 10 / 24
    started_s = (behavior["Trial_start_time"] - ten_am) * 86400
    np.testing.assert_allclose(started_s, [6.0, 13.5, 28.5, 36.0], atol=1e-3)
    grey_s = (behavior["Gray_space_time"] - behavior["Trial_start_time"]) * 86400
    np.testing.assert_allclose(grey_s, 16 * 0.3, atol=1e-3)
    assert (behavior["RewTime"][[0, 2]] > behavior["SoundTime"][[0, 2]]).all()


def test_cues_and_licks_name_the_frame_that_was_being_scanned(behavior: dict[str, Any]) -> None:
    """Frames are scanned around 50 ms after each wheel sample; the cue comes with the sample."""
    first = np.array([0, 1, 3, 4]) * TRIAL_FRAMES
    np.testing.assert_array_equal(behavior["SoundFr"], first + 8)
    np.testing.assert_array_equal(
        behavior["LickFr"], np.sort(np.concatenate([first + 9, first + 10]))
    )


def test_activity_and_retinotopy_are_listed_plane_by_plane(tmp_path: Path) -> None:
    contents = read_contents(whole_session(tmp_path))
    write_lab(contents, tmp_path / "lab")
    spikes = loaded(tmp_path / "lab" / "spk" / f"{KEY}_neural_data.npy")["spks"]
    assert [plane.shape for plane in spikes] == [(CELLS, FRAMES)]
    np.testing.assert_array_equal(spikes[0], contents.session.traces.T)
    with np.load(tmp_path / "lab" / "retinotopy" / "VR2_2026_03_04_trans.npz") as map_file:
        assert list(map_file["iarea"]) == list(AREAS)
        assert map_file["xy_t"].shape == (CELLS, 2)
    out = np.load(tmp_path / "lab" / "retinotopy" / "areas.npz", allow_pickle=True)["out"]
    assert out.shape == (10,)
    index = loaded(tmp_path / "lab" / "beh" / "Imaging_Exp_info.npy")
    assert index == {"sup_train1": [{"mname": "VR2", "datexp": "2026_03_04", "blk": "2"}]}


def test_a_second_export_adds_to_the_files_and_a_repeated_one_changes_nothing(
    tmp_path: Path,
) -> None:
    contents = read_contents(whole_session(tmp_path))
    root = tmp_path / "lab"
    for _ in range(2):
        write_lab(contents, root, "sup_train1_after_learning")
    write_lab(contents, root, "sup_test1")
    index = loaded(root / "beh" / "Imaging_Exp_info.npy")
    assert {name: len(sessions) for name, sessions in index.items()} == {
        "sup_train1_after_learning": 1,
        "sup_test1": 1,
    }


def test_an_unrewarded_animal_keeps_the_rewarded_stimulus(tmp_path: Path) -> None:
    messages: list[Message] = trial(0, "circle1", 6000) + trial(1, "circle1", 14_000)
    folder = write(tmp_path, messages, start(cohort="unrewarded"))
    write_lab(read_contents(folder), tmp_path / "lab")
    (session,) = loaded(tmp_path / "lab" / "beh" / "Beh_unsup_train1.npy").values()
    assert not session["isRew"].any()
    assert session["Reward_Mode"] == "Passive"


TRIAL_MS = TRIAL_FRAMES * FRAME_MS


@pytest.mark.parametrize(
    ("analysed_ms", "kept"),
    [
        ((0, np.inf), ["leaf1", "circle1", "leaf2", "circle2"]),
        ((6000 + TRIAL_MS + 600, np.inf), ["leaf2", "circle2"]),  # as with detected cells
        ((6000 + 1.5 * TRIAL_MS, np.inf), ["circle2"]),  # leaf2 lacks frames before it
        ((0, 6000 + 2.9 * TRIAL_MS), ["leaf1", "circle1"]),  # such as a crash of the analysis
    ],
)
def test_trials_that_were_not_imaged_from_start_to_end_are_left_out(
    tmp_path: Path, analysed_ms: tuple[float, float], kept: list[str]
) -> None:
    """The scripts would extrapolate their activity from the frames of other trials."""
    messages: list[Message] = []
    for number, stimulus in enumerate(["leaf1", "circle1", "leaf2", "circle2"]):
        messages += trial(number, stimulus, 6000 + TRIAL_MS * number)
    folder = write(tmp_path, messages, start(), analysed_ms=analysed_ms)
    contents = read_contents(folder)
    write_lab(contents, tmp_path / "lab")
    (session,) = loaded(tmp_path / "lab" / "beh" / "Beh_sup_train1.npy").values()
    assert list(session["WallName"]) == kept
    assert session["ntrials"] == len(kept)
    for number in range(len(kept)):
        of_trial = session["ft_trInd"] == number
        assert of_trial.sum() == TRIAL_FRAMES
        assert set(session["ft_WallID"][of_trial]) == {kept[number]}
    assert list(session["LickTrind"]) == list(np.repeat(np.arange(len(kept)), 2))
    is_left_out = [text for text in warnings(contents) if "completed trials are left out" in text]
    assert len(is_left_out) == ("Notes" in session) == (len(kept) < 4)


def test_without_a_trial_that_was_imaged_nothing_is_exported(tmp_path: Path) -> None:
    folder = write(tmp_path, trial(0, "leaf1", 6000), start(), analysed_ms=(9000, np.inf))
    with pytest.raises(Refused, match="no corridor was imaged from start to end"):
        write_lab(read_contents(folder), tmp_path / "lab")


def test_without_a_completed_corridor_there_is_nothing_to_export(tmp_path: Path) -> None:
    folder = write(tmp_path, trial(0, "leaf1", 6000, "aborted"), start())
    with pytest.raises(Refused, match="no corridor was completed"):
        write_lab(read_contents(folder), tmp_path / "lab")


def test_a_file_that_is_not_a_dict_is_not_overwritten(tmp_path: Path) -> None:
    contents = read_contents(whole_session(tmp_path))
    path = tmp_path / "lab" / "beh" / "Beh_sup_train1.npy"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"somebody else's")
    with pytest.raises(Refused, match="cannot be extended"):
        write_lab(contents, tmp_path / "lab")
    assert path.read_bytes() == b"somebody else's"


@pytest.mark.parametrize(
    ("cohort", "stage", "expected"),
    [
        ("task", "test1", "sup_test1"),
        ("unrewarded", "test2", "unsup_test2"),
        ("naive", "test3", "naive_test3"),
        ("grating", "test1", "test1_after_grating"),
        ("pretrained", "pretraining_passive", "pretrain_on_nat_image"),
        ("pretrained", "pretraining_active", "pretrain_on_nat_image"),
        ("grating_pretrained", "pretraining_active", "pretrain_on_grat_image"),
        ("not_pretrained", "pretraining_active", "no_pretrain"),
    ],
)
def test_experiment_types_are_those_of_the_study(
    tmp_path: Path, cohort: str, stage: str, expected: str
) -> None:
    folder = write(tmp_path, trial(0, "leaf1", 6000), start(False, cohort, stage), imaging=False)
    assert experiment_type(read_contents(folder)) == expected


def test_the_days_of_a_behavior_only_mouse_are_in_one_file_in_their_order(tmp_path: Path) -> None:
    messages = trial(0, "leaf1", 6000) + trial(1, "circle1", 14_000)
    for day in (4, 3, 5):  # exported in any order
        stage = "pretraining_passive" if day == 3 else "pretraining_active"
        folder = pretraining_session(tmp_path, day, stage, messages)
    for folder in (tmp_path / "sub-VR2").iterdir():
        write_lab(read_contents(folder), tmp_path / "lab")
    held = loaded(tmp_path / "lab" / "beh" / "Beh_pretrain_on_nat_image.npy")
    assert list(held) == [
        "VR2_2026_03_03_1_day1",
        "VR2_2026_03_04_1_day2",
        "VR2_2026_03_05_1_day3",
    ]
    write_lab(read_contents(folder), tmp_path / "given", day=4)
    (key,) = loaded(tmp_path / "given" / "beh" / "Beh_pretrain_on_nat_image.npy")
    assert key == f"{session_key(read_contents(folder))}_day4"


def test_a_day_counts_if_a_corridor_was_completed_or_the_file_has_it(tmp_path: Path) -> None:
    """Day 1 came to nothing, and the session of day 2 was moved away after its export."""
    for day, stage in ((2, "passive"), (3, "passive"), (4, "active")):
        messages = trial(0, "leaf1", 6000, "aborted" if day == 2 else "done")
        pretraining_session(tmp_path, day, f"pretraining_{stage}", messages)
    folders = sorted((tmp_path / "sub-VR2").iterdir())
    path = tmp_path / "lab" / "beh" / "Beh_pretrain_on_nat_image.npy"
    write_lab(read_contents(folders[1]), tmp_path / "lab")
    folders[1].rename(tmp_path / "moved")
    write_lab(read_contents(folders[2]), tmp_path / "lab")
    assert list(loaded(path)) == ["VR2_2026_03_03_1_day1", "VR2_2026_03_04_1_day2"]
    write_lab(read_contents(folders[2]), tmp_path / "lab", day=4)
    assert list(loaded(path)) == ["VR2_2026_03_03_1_day1", "VR2_2026_03_04_1_day4"]


def test_a_day_is_not_counted_if_the_log_of_an_earlier_one_is_lost(tmp_path: Path) -> None:
    for day, stage in ((2, "passive"), (3, "active"), (4, "active")):
        messages = trial(0, "leaf1", 6000)
        pretraining_session(tmp_path, day, f"pretraining_{stage}", messages)
    first, lost, last = sorted((tmp_path / "sub-VR2").iterdir())
    (lost / LOG_FILE).unlink()
    (last.parent / "ses-20260301_1").mkdir()  # not a session
    with pytest.raises(Refused, match=f"{lost} has no readable log.mcap, .* give the day: --day N"):
        write_lab(read_contents(last), tmp_path / "lab")
    (key,) = keys_after(first, tmp_path)
    assert key.endswith("_day1")
    assert "VR2_2026_03_04_1_day3" in keys_after(last, tmp_path, day=3)


def keys_after(folder: Path, data: Path, day: int | None = None) -> list[str]:
    """Export a session; return the keys of the file of its experiment type."""
    write_lab(read_contents(folder), data / "lab", day=day)
    return list(loaded(data / "lab" / "beh" / "Beh_pretrain_on_nat_image.npy"))


def pretraining_session(data: Path, day: int, stage: str, messages: list[Message]) -> Path:
    """Write the first session of a day in March of a behavior-only mouse."""
    first = start(False, "pretrained", stage)
    first.session["began"] = f"2026-03-0{day}T10:00:00+01:00"
    folder = write(data, messages, first, imaging=False)
    folder = folder.rename(folder.with_name(f"ses-2026030{day}_1"))
    settings = {"subject": "VR2", "seed": 1, "task_name": stage, "nodes": {}}
    settings |= {"rig": {"name": "r", "disk_mb_s": 1.0}, "task": first.session["task"]}
    settings |= {"began": first.session["began"]}
    (folder / "settings.json").write_text(json.dumps(settings))
    return folder


def test_a_session_with_both_swaps_has_an_entry_for_each_with_four_walls(tmp_path: Path) -> None:
    drawn = ["leaf1", "leaf1_swap1", "circle1", "leaf2", "leaf1_swap2", "leaf1_swap1"]
    messages: list[Message] = []
    for number, stimulus in enumerate(drawn):
        messages += trial(number, stimulus, 6000 + 8000 * number)
    folder = write(tmp_path, messages, start(stage="test3"))
    write_lab(read_contents(folder), tmp_path / "lab")
    held = loaded(tmp_path / "lab" / "beh" / "Beh_sup_test3.npy")
    assert list(held) == [f"{KEY}_swap1", f"{KEY}_swap2"]
    for number, swap in ((5, "swap1"), (6, "swap2")):
        entry = held[f"{KEY}_{swap}"]
        walls = ["circle1", "leaf1", f"leaf1_{swap}", "leaf2"]
        assert list(entry["UniqWalls"]) == walls == list(entry["StimTrial"])
        assert list(entry["stim_id"]) == [0, 2, number, 3]
        assert list(entry["WallName"]) == drawn
        assert entry["WallType"][1] == "leaf"
    index = loaded(tmp_path / "lab" / "beh" / "Imaging_Exp_info.npy")
    assert [one["stimtype"] for one in index["sup_test3"]] == ["swap1", "swap2"]


def test_corridors_of_two_lengths_are_refused(tmp_path: Path) -> None:
    messages = trial(0, "leaf1", 6000) + trial(1, "leaf1", 14_000)
    at = next(n for n, m in enumerate(messages) if isinstance(m, TrialStart) and m.trial == 1)
    messages[at] = msgspec.structs.replace(messages[at], texture_m=3.0)
    folder = write(tmp_path, messages, start())
    with pytest.raises(
        Refused, match=r"corridors of 5 to 6 m; the study's files can have only one length"
    ):
        write_lab(read_contents(folder), tmp_path / "lab")


def test_areas_without_cells_are_named(tmp_path: Path) -> None:
    """The fixture has cells in V1, anterior and lateral areas."""
    (found,) = (
        text
        for text in warnings(read_contents(whole_session(tmp_path)))
        if "area" in text and text.startswith("no cell")
    )
    assert found.startswith("no cell in medial areas: the study's scripts")


def test_cues_too_near_to_the_ends_of_the_recording_are_counted(tmp_path: Path) -> None:
    """The cue and the first lick of the first trial are in frames 8 and 9; all others fit."""
    warning = incomplete_windows(read_contents(whole_session(tmp_path)))
    assert warning.startswith(
        "2 cues or first licks are less than 15 frames from the first or last"
    )


def test_d_prime_of_the_exported_files_is_the_one_that_was_logged(tmp_path: Path) -> None:
    """2 (mean_A - mean_B) / (sd_A + sd_B) over moving texture frames, from the files alone."""
    contents = read_contents(kept_session(SCHEMAS[-1], tmp_path))
    write_lab(contents, tmp_path / "lab")
    key = session_key(contents)
    beh = loaded(tmp_path / "lab" / "beh" / "Beh_sup_train1.npy")[key]
    spikes = np.concatenate(
        loaded(tmp_path / "lab" / "spk" / f"{key}_neural_data.npy")["spks"]
    ).astype(np.float64)
    a, b = (
        spikes[:, (beh["ft_WallID"] == wall) & (beh["ft_move"] > 0) & beh["ft_CorrSpc"]]
        for wall in ("leaf1", "circle1")
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        d_prime = 2 * (a.mean(1) - b.mean(1)) / (a.std(1) + b.std(1))
    assert np.isfinite(d_prime).any()
    logged = contents.session.d_prime[-1]
    defined = np.isfinite(logged)
    np.testing.assert_allclose(d_prime[defined], logged[defined], rtol=1e-4)


def test_frames_of_licks_and_cues_are_finite_and_inside_the_recording(tmp_path: Path) -> None:
    contents = read_contents(kept_session(SCHEMAS[-1], tmp_path))
    beh = behavior_dict(contents)
    for name in ("SoundFr", "LickFr"):
        assert np.isfinite(beh[name]).all()
        assert ((beh[name] >= 0) & (beh[name] < len(beh["ft_move"]))).all()
