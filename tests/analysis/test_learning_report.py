"""The report's figures of reward prediction, projections, similarity and sequences."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from analysis.report.data import ReportData, read_data
from analysis.report.signals.coding_direction import projections, similarity
from analysis.report.signals.reward_prediction import reward_prediction, reward_prediction_trials
from analysis.report.signals.sequences import sequences
from analysis.report.write import report
from analysis.session.learning_arrays import AREAS, LearningArrays
from rig.cli.bench.ground_truth import SETUP
from rig.cli.bench.imaging.simulated_imaging import run_imaging_session

pytestmark = pytest.mark.slow

TEST3 = Path(__file__).parents[2] / "behavior" / "tasks" / "test3.toml"


@pytest.fixture(scope="module")
def imaged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReportData]:
    folder = tmp_path_factory.mktemp("imaged")
    run_imaging_session(SETUP, TEST3, folder, 1, ["task.trials=24"])
    yield read_data(folder)


def signals_of(data: ReportData) -> LearningArrays:
    assert data.learning is not None
    return data.learning


def test_the_ramp_is_shown_for_each_stimulus(imaged: ReportData) -> None:
    signals = signals_of(imaged)
    section, trials = reward_prediction(imaged), reward_prediction_trials(imaged)
    assert section is not None
    assert trials is not None
    captions = [figure.caption for figure in section.figures]
    assert captions[0] == "By position"
    assert captions[2] == "From the cue"
    lines = [trace for trace in section.figures[0].traces if trace.get("name")]
    assert {trace["name"].partition(" ")[0] for trace in lines} == set(imaged.colours)
    for trace in lines:
        own = signals.ramp_by_position[imaged.done.stimulus == trace["name"].partition(" ")[0]]
        np.testing.assert_allclose(trace["y"], own.mean(axis=0), atol=1e-4)
    assert [len(figure.traces[0]["z"]) for figure in trials.figures] == [
        len(imaged.of(name)) for name in imaged.colours
    ]


def test_trials_are_split_by_licks(imaged: ReportData) -> None:
    signals = signals_of(imaged)
    section = reward_prediction(imaged)
    assert section is not None
    means = [trace["y"][0] for trace in section.figures[4].traces if trace["name"] == "mean"]
    split = signals.ramp_by_lick[~np.isnan(signals.ramp_by_lick)]
    np.testing.assert_allclose(sorted(means), np.sort(split), atol=1e-3)


def test_projections_and_indices_are_shown_by_area(imaged: ReportData) -> None:
    signals = signals_of(imaged)
    shown, index = projections(imaged), similarity(imaged)
    assert shown is not None
    assert index is not None
    assert len(shown.figures) == len(signals.contrasts) * len(AREAS)
    first = [trace for trace in shown.figures[0].traces if trace.get("name") == "circle1"]
    own = signals.projections[0, 0, imaged.done.stimulus == "circle1"]
    np.testing.assert_allclose(first[0]["y"], np.nanmean(own, axis=0), atol=1e-3)
    values = [trace["y"] for trace in index.figures[0].traces]
    others = [n for n, name in enumerate(signals.stimuli) if name not in signals.contrasts[0]]
    np.testing.assert_allclose(values, signals.similarity[0, :, others, 0], atol=1e-4)


def test_swapped_stimuli_are_shown_as_run_and_unswapped(imaged: ReportData) -> None:
    section = sequences(imaged)
    assert section is not None
    captions = [figure.caption for figure in section.figures]
    swaps = [name for name in imaged.colours if "swap" in name]
    assert swaps
    for swap in swaps:
        assert any(caption.startswith(f"{swap}: r") for caption in captions)
        assert any(caption.startswith(f"{swap} unswapped: r") for caption in captions)
    assert [grid.head[0] for grid in section.grids] == [
        f"cells of {a} - {b}" for a, b in signals_of(imaged).contrasts
    ]


def test_the_page_has_all_learning_sections(imaged: ReportData, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    report(imaged.session.folder, path)
    page = path.read_text(encoding="utf-8")
    for title in ("Reward prediction", "Coding direction", "Similarity index", "Sequences"):
        assert f"<h2>{title}" in page
