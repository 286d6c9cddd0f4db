"""The report of a session: correct numbers, for every kind of session, in one HTML page."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest

from analysis.report import write
from analysis.report.colours import AREAS, CUE, DATA, LICK, SPEED, WATER, stimulus_colours
from analysis.report.colours import STIMULI as COLOURS
from analysis.report.data import ReportData
from analysis.report.html import Section
from analysis.report.plots import with_gaps
from analysis.report.write import report
from analysis.session import Session
from behavior.hardware import Hardware
from rig import virtual_session
from rig.errors import Refused
from rig.messages import (
    Cue,
    Fault,
    Lick,
    Message,
    OperatorRequest,
    Position,
    Stop,
    TrialEnd,
    TrialStart,
    TrialVerdict,
    Valve,
)
from rig.process import completed
from tests.analysis.logs import MS, START, corridor, enveloped, standing, write_log
from tests.behavior.sessions import session

Messages = list[Message | tuple[str, Message]]
TRIALS = 10


class Page(HTMLParser):
    """A report, read back: its texts, its figures, and its network requests."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.links: list[str] = []
        self.slots = 0
        self._inside = ""
        page = path.read_text(encoding="utf-8")
        self.feed(page)
        found = re.search(r'id="figures">(.*?)</script>', page, re.S)
        assert found is not None
        self.figures: list[dict[str, Any]] = json.loads(found.group(1))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self._inside = tag
        self.links += [v for k in ("src", "href") if (v := named.get(k)) is not None]
        self.slots += str(named.get("id", "")).startswith("figure") and tag == "div"

    def handle_data(self, data: str) -> None:
        if self._inside not in ("script", "style"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def made(folder: Path, messages: Sequence[Message | tuple[str, Message]]) -> Page:
    """Write a log of these messages, report on it, and read the page."""
    write_log(folder, enveloped(messages))
    report(folder, folder / "report.html")
    return Page(folder / "report.html")


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A session of a trained mouse, with its referee, in virtual time."""
    folder = tmp_path_factory.mktemp("lived")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Hardware, "period_s", 0.01)
        chosen = session(3, trials=TRIALS)
        nodes = {**chosen.nodes, "referee": {"run": "behavior.referee"}}
        messages = virtual_session.run(completed(msgspec.structs.replace(chosen, nodes=nodes)))
    write_log(folder, messages)
    report(folder, folder / "report.html")
    yield folder


def test_the_page_describes_the_session(lived: Path) -> None:
    page, read = Page(lived / "report.html"), Session(lived)
    rewards, licks = read.rewards, read.licks
    for text in (
        f"{TRIALS} trials done",
        f"{rewards.volume_ul.sum():.0f} µl water, {len(rewards)} rewards",
        f"{len(licks)} licks",
        f"{read.wheel.cm.iloc[-1] / 100:.0f} m run",
        "0 faults",
        f"{TRIALS} trials checked, no violation",
        "Nothing went wrong",
        "ended: all trials done",
    ):
        assert text in page.text
    assert page.slots == len(page.figures) > 10


def test_every_lick_in_a_corridor_is_in_a_raster(lived: Path) -> None:
    page, read = Page(lived / "report.html"), Session(lived)
    by_time = [f for f in page.figures if f["layout"]["yaxis"]["title"]["text"] == "trial"]
    ticks = [x for f in by_time[:2] for x in f["traces"][0]["x"][::3]]
    inside = read.licks[read.licks.trial >= 0]
    assert sorted(ticks) == pytest.approx(sorted(inside.position_m), abs=1e-3)
    cues = sorted(x for f in by_time[2:4] for x in f["traces"][1]["x"])
    assert cues == pytest.approx(sorted(read.trials.cue_position_m), abs=1e-3)
    for figure in by_time[2:4]:
        assert figure["traces"][1]["x"] == sorted(figure["traces"][1]["x"])


def test_the_page_needs_no_network(lived: Path) -> None:
    assert Page(lived / "report.html").links == []


def test_a_browser_draws_every_figure(lived: Path, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("there is no browser here: apt-get install chromium")
    run = subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--virtual-time-budget=20000",
            f"--user-data-dir={tmp_path}",
            "--dump-dom",
            (lived / "report.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    page = Page(lived / "report.html")
    assert run.stdout.count('class="main-svg"') >= len(page.figures)
    drawn = re.findall(r'<div id="figure\d+"[^>]*class="([^"]*)"', run.stdout)
    assert len(drawn) == len(page.figures)
    assert all("js-plotly-plot" in names for names in drawn)


def _trial(trial: int, stimulus: str, outcome: str = "done", lick: bool = True) -> Messages:
    t = (trial + 1) * 1000 * MS
    messages: Messages = [corridor(trial, stimulus, t)]
    messages += [standing(t + n * 50 * MS, trial, n * 0.3) for n in range(20)]
    messages += [Lick(t + 200 * MS, "centre")] if lick else []
    messages += [TrialEnd(t + 990 * MS, trial, outcome)]  # type: ignore[arg-type]
    return messages


def test_aborted_and_cut_off_trials_are_left_out_and_counted(tmp_path: Path) -> None:
    messages: Messages = [START, *_trial(0, "leaf1"), *_trial(1, "circle1", lick=False)]
    messages += [*_trial(2, "leaf1", "aborted"), *_trial(3, "circle1", lick=False)]
    messages += _trial(4, "leaf1")[:-1]
    page = made(tmp_path, messages)
    assert "3 trials done (1 aborted, 1 cut off)" in page.text
    assert "+100% performance" in page.text
    assert "leaf1, sorted by time (1 trial)" in page.text
    assert "circle1, sorted by time (2 trials)" in page.text


def test_faults_are_shown_prominently(tmp_path: Path) -> None:
    messages: Messages = [START, *_trial(0, "leaf1"), *_trial(1, "circle1")]
    messages += [
        ("referee", TrialVerdict(3000 * MS, 0, ("two rewards",))),
        ("referee", TrialVerdict(3000 * MS, 1, ())),
        ("hardware", Fault(3100 * MS, "valve <centre> stayed shut")),
        ("launch", OperatorRequest(3200 * MS, 1, 0, "note", "</script><b>grooming</b>")),
        ("hardware", Valve(3300 * MS, 9, "centre", 60.0, 3.0, manual=True)),
    ]
    page = made(tmp_path, messages)
    assert "1 of 2 trials broke a rule." in page.text
    assert "two rewards" in page.text
    assert "1 fault reported." in page.text
    assert "valve <centre> stayed shut" in page.text
    assert "</script><b>grooming</b>" in page.text
    assert "manual 1 3 µl" in page.text
    assert page.slots == len(page.figures)


KINDS: dict[str, Messages] = {
    "one trial, no lick": [START, *_trial(0, "leaf1", lick=False)],
    "one corridor, never the other": [START, *_trial(0, "circle1"), *_trial(1, "circle1")],
    "no cue": [
        START,
        *[
            msgspec.structs.replace(w, cue_position_m=None) if isinstance(w, TrialStart) else w
            for w in [*_trial(0, "leaf1"), *_trial(1, "circle1")]
        ],
    ],
    "pictures, no corridor": [
        START,
        TrialStart(MS, 0, "bar0", None, False, 0.0, 0.0, None, "none", 0.0, picture="bar"),
        standing(2 * MS, 0, 0.0),
        TrialEnd(9 * MS, 0, "done"),
    ],
    "water and no trial": [
        START,
        standing(MS, -1, 0.0),
        Lick(2 * MS, "centre"),
        Valve(3 * MS, 1, "centre", 60.0, 3.0, 2 * MS),
    ],
}


@pytest.mark.parametrize("messages", KINDS.values(), ids=KINDS)
def test_sessions_of_every_kind_have_a_report(tmp_path: Path, messages: Messages) -> None:
    page = made(tmp_path, [*messages, Stop(10_000 * MS, "all trials done", ())])
    assert page.slots == len(page.figures)
    assert "ended: all trials done" in page.text
    assert "nan" not in page.text.lower()


ABORTED: Messages = [START, *_trial(0, "leaf1", "aborted")]
CUT_SHORT: Messages = [START, *_trial(0, "leaf1")[:-1]]


def test_a_session_whose_only_trial_was_aborted_has_a_report(tmp_path: Path) -> None:
    page = made(tmp_path, ABORTED)
    assert "0 trials done (1 aborted)" in page.text
    assert page.slots == len(page.figures)
    assert "Speed by position" not in page.text


def test_a_session_cut_short_in_its_first_trial_still_shows_its_speed(tmp_path: Path) -> None:
    page = made(tmp_path, CUT_SHORT)
    assert "0 trials done (1 cut off)" in page.text
    (speed,) = _with_axis(page, "yaxis", "speed, cm/s")[1:]
    assert speed["traces"][-1]["name"] == "leaf1 (n = 1)"
    ran = [y for y in speed["traces"][-1]["y"] if y is not None]
    assert ran == [20.0] * len(ran)
    assert len(ran) == 20


def _with_axis(page: Page, axis: str, title: str) -> list[dict[str, Any]]:
    return [f for f in page.figures if f["layout"][axis]["title"]["text"] == title]


def test_the_axis_of_speed_begins_at_0(tmp_path: Path) -> None:
    overview = _with_axis(made(tmp_path, CUT_SHORT), "yaxis", "speed, cm/s")[0]
    assert overview["layout"]["yaxis"]["range"][0] == 0
    on_speed = [trace for trace in overview["traces"] if trace.get("yaxis") != "y2"]
    assert [trace["name"] for trace in on_speed] == ["speed"]


def test_speed_is_not_drawn_where_nothing_was_recorded(tmp_path: Path) -> None:
    """Between the parts of a continued session there is no speed."""
    moving = [Position(s * 1000 * MS, -1, 0.0, 20.0, True, "grey") for s in (1, 2, 3, 60, 61)]
    lick = Lick(61_000 * MS, "centre")
    overview = _with_axis(made(tmp_path, [START, *moving, lick]), "yaxis", "speed, cm/s")[0]
    lines = [trace for trace in overview["traces"] if trace["name"] == "speed"]
    assert [[round(60 * minute) for minute in one["x"]] for one in lines] == [[1, 2, 3], [60, 61]]
    assert [one["showlegend"] for one in lines] == [True, False]


def test_a_line_has_a_gap_where_its_points_are_far_apart() -> None:
    x, y = with_gaps([0.0, 0.1, 5.0, 5.1], [1.0, 2.0, 3.0, 4.0], 1.0)
    assert [str(value) for value in x] == ["0.0", "0.1", "nan", "5.0", "5.1"]
    assert [str(value) for value in y] == ["1.0", "2.0", "nan", "3.0", "4.0"]


def test_every_figure_numbers_trials_as_the_log_does(tmp_path: Path) -> None:
    messages: Messages = [START, *_trial(0, "leaf1", "aborted"), *_trial(1, "leaf1")]
    messages += [*_trial(2, "circle1"), *_trial(3, "leaf1")]
    page = made(tmp_path, messages)
    leaf, circle = _with_axis(page, "yaxis", "trial")[:2]
    assert leaf["layout"]["yaxis"]["ticktext"] == ["1", "3"]
    assert circle["layout"]["yaxis"]["ticktext"] == ["2"]
    (rate,) = _with_axis(page, "yaxis", "response rate")
    assert [trace["x"] for trace in rate["traces"]] == [[1.0, 3.0], [2.0]]


def test_only_the_stimuli_of_the_study_have_its_colours() -> None:
    assert {name: COLOURS[name] for name in ("leaf1", "circle1", "leaf2", "circle2")} == {
        "leaf1": "#5858fa",  # blue
        "circle1": "#d12417",  # red
        "leaf2": "#4bc5ce",  # cyan
        "circle2": "#ae33b1",  # magenta
    }
    others = {colour for colour, _ in AREAS.values()} | {CUE, WATER, LICK, SPEED, DATA}
    assert others & set(COLOURS.values()) == set()
    given = stimulus_colours(["leaf1", "rock1", "brick1", "circle1"])
    assert given["leaf1"] == COLOURS["leaf1"]
    assert len(set(given.values())) == 4


def test_licks_are_aligned_to_the_cue_and_to_the_water(tmp_path: Path) -> None:
    messages: Messages = [START]
    for trial in range(4):
        t = (10 * trial + 5) * 1000 * MS
        messages += [corridor(trial, "leaf1", t), standing(t, trial, 0.5), Cue(t, trial, 0.5)]
        messages.append(Lick(t + 450 * MS, "centre"))
        messages.append(Valve(t + 500 * MS, trial, "centre", 60.0, 3.0, t + 450 * MS))
        messages += [Lick(t + 1250 * MS, "centre")] * (trial < 2)
        messages.append(TrialEnd(t + 3000 * MS, trial, "done"))
    page = made(tmp_path, messages)
    cue, reward = _with_axis(page, "yaxis", "licks per second")
    for figure, first, second in ((cue, 0.45, 1.25), (reward, -0.05, 0.75)):
        trace = figure["traces"][-1]
        assert trace["name"] == "leaf1 (n = 4)"
        rates = dict(zip(trace["x"], trace["y"], strict=True))
        assert {x: y for x, y in rates.items() if y} == {first: 10.0, second: 5.0}


def test_a_new_section_is_one_function_of_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def maps(data: ReportData) -> Section:
        return Section("Maps", f"of {len(data.done)} trials")

    monkeypatch.setattr(write, "SECTIONS", (*write.SECTIONS, maps, lambda _: None))
    assert "Maps of 1 trials" in made(tmp_path, [START, *_trial(0, "leaf1")]).text


@pytest.mark.parametrize(
    ("messages", "sentence"),
    [
        ([], "ended before it began"),
        ([START, standing(MS, -1, 0.0)], "no trials, licks, rewards or steps"),
    ],
)
def test_a_session_without_messages_is_refused(
    tmp_path: Path, messages: Messages, sentence: str
) -> None:
    with pytest.raises(Refused, match=sentence):
        made(tmp_path, messages)
    assert not (tmp_path / "report.html").exists()


def test_a_session_cut_off_is_refused_until_it_is_recovered(tmp_path: Path) -> None:
    log = write_log(tmp_path, enveloped([START, *_trial(0, "leaf1")])) / "log.mcap"
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 4])
    with pytest.raises(Refused, match=f"is not closed; .*rig recover {tmp_path}"):
        report(tmp_path, tmp_path / "report.html")


def test_a_missing_session_and_an_unwritable_page_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"has no log\.mcap"):
        report(tmp_path, tmp_path / "report.html")
    write_log(tmp_path, enveloped([START, *_trial(0, "leaf1")]))
    with pytest.raises(Refused, match=r"cannot be written .*--out"):
        report(tmp_path, tmp_path / "nowhere" / "report.html")


def test_no_report_takes_the_place_of_a_device(tmp_path: Path) -> None:
    write_log(tmp_path, enveloped([START, *_trial(0, "leaf1")]))
    os.mkfifo(pipe := tmp_path / "pipe")
    with pytest.raises(Refused, match="pipe is not a file; name another file with --out"):
        report(tmp_path, pipe)
    assert pipe.is_fifo()
