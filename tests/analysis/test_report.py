"""The report of a session: right numbers, for every kind of session, in one page of its own."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest

from analysis.report import write
from analysis.report.write import report
from analysis.session import Session
from behavior.hardware import Hardware
from rig import virtual_session
from rig.errors import Refused
from rig.messages import (
    Fault,
    Lick,
    Message,
    OperatorRequest,
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
    """A report, read back: its texts, its figures, and what it asks of the network."""

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


def made(folder: Path, messages: Messages) -> Page:
    """Write a log of these words, report on it, and read the page."""
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
        said = virtual_session.run(completed(msgspec.structs.replace(chosen, nodes=nodes)))
    write_log(folder, said)
    report(folder, folder / "report.html")
    yield folder


def test_the_page_says_what_the_session_was(lived: Path) -> None:
    page, read = Page(lived / "report.html"), Session(lived)
    rewards, licks = read.rewards, read.licks
    for text in (
        f"{TRIALS} trials done; none left out",
        f"{rewards.volume_ul.sum():.0f} µl water, {len(rewards)} rewards",
        f"{len(licks)} licks",
        f"{read.wheel.cm.iloc[-1] / 100:.0f} m run",
        "0 faults",
        f"{TRIALS} of {TRIALS} judged trials sound",
        "ended: all trials done",
    ):
        assert text in page.text
    assert page.slots == len(page.figures) > 10


def test_every_lick_in_a_corridor_stands_in_a_raster(lived: Path) -> None:
    page, read = Page(lived / "report.html"), Session(lived)
    by_time = [f for f in page.figures if f["layout"]["yaxis"]["title"]["text"] == "trial"]
    ticks = [x for f in by_time[:2] for x in f["traces"][0]["x"][::3]]
    inside = read.licks[read.licks.trial >= 0]
    assert sorted(ticks) == pytest.approx(sorted(inside.position_m), abs=1e-3)
    cues = sorted(x for f in by_time[2:4] for x in f["traces"][1]["x"])
    assert cues == pytest.approx(sorted(read.trials.cue_position_m), abs=1e-3)
    for figure in by_time[2:4]:
        assert figure["traces"][1]["x"] == sorted(figure["traces"][1]["x"])


def test_it_asks_nothing_of_the_network(lived: Path) -> None:
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
    assert "3 trials done; 1 aborted, 1 cut off left out" in page.text
    assert "+100% performance" in page.text
    assert "leaf1, in order of time (1)" in page.text
    assert "circle1, in order of time (2)" in page.text


def test_what_was_wrong_stands_out(tmp_path: Path) -> None:
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
    assert "1 fault." in page.text
    assert "valve <centre> stayed shut" in page.text
    assert "</script><b>grooming</b>" in page.text
    assert "by hand 1 3 µl" in page.text
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


def test_a_new_section_is_one_function_of_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def maps(seen: write.ReportData) -> write.Section:
        return write.Section("Maps", f"of {len(seen.done)} trials")

    monkeypatch.setattr(write, "SECTIONS", (*write.SECTIONS, maps, lambda _: None))
    assert "Maps of 1 trials" in made(tmp_path, [START, *_trial(0, "leaf1")]).text


@pytest.mark.parametrize(
    ("messages", "sentence"),
    [
        ([], "ended before it began"),
        ([START, *_trial(0, "leaf1", "aborted")], r"no trial of .* was finished \(1 begun\)"),
        ([START, standing(MS, -1, 0.0)], "no trial, no lick and no step"),
    ],
)
def test_a_session_without_anything_is_refused(
    tmp_path: Path, messages: Messages, sentence: str
) -> None:
    with pytest.raises(Refused, match=sentence):
        made(tmp_path, messages)
    assert not (tmp_path / "report.html").exists()


def test_a_session_cut_off_is_refused_until_it_is_recovered(tmp_path: Path) -> None:
    log = write_log(tmp_path, enveloped([START, *_trial(0, "leaf1")])) / "log.mcap"
    log.write_bytes(log.read_bytes()[:-40])
    with pytest.raises(Refused, match=f"is not closed; .*rig recover {tmp_path}"):
        report(tmp_path, tmp_path / "report.html")


def test_no_session_and_no_place_for_the_page_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"holds no log\.mcap"):
        report(tmp_path, tmp_path / "report.html")
    write_log(tmp_path, enveloped([START, *_trial(0, "leaf1")]))
    with pytest.raises(Refused, match=r"cannot be written .*--out"):
        report(tmp_path, tmp_path / "nowhere" / "report.html")
