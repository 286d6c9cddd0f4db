"""Boards that do not fit the setup, with the real commands: one sentence, and nothing is armed."""

import gc
import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from rig.messages import TrialStart, Valve
from rig.settings.calibration_overlay import measure
from tests.behavior.devices.harp.pty_board import PtyBoard
from tests.behavior.manual.shipped_setups import BehaviorBench, CardBench, moved, shipped
from tests.live import Live
from tests.refusals import refused

# the watchdog task of a card without one warns when it is collected
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("own_locks"),
]
Say = Callable[..., str]
DEVICE_LOST = -88705
CALIBRATED = tuple(
    f"nodes.hardware.{what}.calibrated='{date.today()}'" for what in ("wheel", "valve.centre")
)
SOON = ("task.grey_before_s=0.3", "task.texture_m=1.5", "task.cue_from_m=0.1", "task.cue_to_m=0.4")
PASSIVE = ("task.reward_mode=passive", "task.reward_delay_ms=0", "task.reward_ul=7.4")
"""A pulse of 148 ms at the cue, in which the card can be lost."""


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Say:
    """Return a function that gives the sentence with which `rig check SETUP` refuses."""

    def output(setup: Path) -> str:
        return refused(capsys, monkeypatch, "check", setup, "--yes")

    return output


@pytest.mark.parametrize(
    ("model", "old", "new", "expected"),
    [
        ("full", 'counter = "ctr2"', 'counter = "ctr7"', "ctr7: .* no such line or counter"),
        ("full", "line = 0 ", "line = 9 ", "line 9 is not an input of board card"),
        ("full", 'device = "Dev1"', 'device = "Dev9"', "there is no card of that name"),
        ("sampling", "", "", "the card has no watchdog"),
        ("sampling", 'latch_counter = "ctr1"', 'latch_counter = ""', "has no latch_counter"),
        ("full", 'trigger = "PFI0"', 'trigger = "PFI0"\ncolour = 1', "colour"),
    ],
)
def test_a_card_that_does_not_fit_the_setup_is_refused(
    model: str, old: str, new: str, expected: str, check: Say, tmp_path: Path
) -> None:
    bench = CardBench(tmp_path, model=model)
    try:
        text = bench.setup.read_text()
        assert old in text
        bench.setup.write_text(text.replace(old, new, 1))
        _shows(check(bench.setup), expected)
        assert bench.card.do("tasks") == []
        assert bench.openings_ms() == []
    finally:
        bench.close()


def test_a_missing_card_is_refused(check: Say, tmp_path: Path) -> None:
    _shows(check(shipped(tmp_path, "pcie63xx")), "the NI-DAQmx driver is missing")
    nowhere = shipped(tmp_path, "pcie63xx", ('address = ""', 'address = "127.0.0.1:1"'))
    _shows(check(nowhere), "the device server does not answer")


@pytest.mark.session
@pytest.mark.parametrize(
    ("who_am_i", "firmware", "expected"),
    [
        (1232, (3, 3), "board behavior: its WhoAmI is 1232, but the setup expects 1216"),
        (1216, (2, 4), "board behavior: its firmware 2.4 is older than 2.5; flash a newer one"),
    ],
)
def test_a_wrong_or_outdated_serial_board_is_refused(
    who_am_i: int, firmware: tuple[int, int], expected: str, check: Say, tmp_path: Path
) -> None:
    there = PtyBoard(who_am_i, firmware)
    number = 'usb_serial = "AL01XYZ1"'
    setup = shipped(tmp_path, "harp", (number, f'port = "{there.port}"'))
    try:
        _shows(check(setup), expected)
        with Live(tmp_path / "data", *CALIBRATED, setup=setup, args=("--override", "x")) as live:
            code, output = live.end()
        assert code == 2, output
        assert expected in output
        assert there.openings == []
    finally:
        there.close()


def test_a_missing_serial_board_is_refused(check: Say, tmp_path: Path) -> None:
    _shows(check(shipped(tmp_path, "harp")), "no USB device with serial number 'AL01XYZ1'")


def test_a_missing_calibration_or_one_of_another_valve_is_refused(
    check: Say, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    setup = shipped(tmp_path, "harp")
    task = Path(__file__).parents[3] / "behavior" / "tasks" / "train1.toml"
    run = ["run", setup, task, "--subject", "test", "--data", tmp_path / "data", "--override", "x"]
    _shows(refused(capsys, monkeypatch, *run), "valve centre was never calibrated")
    measure(setup, "harp", "nodes.hardware.valve.left", {"ul_per_ms": 0.1})
    for output in (refused(capsys, monkeypatch, *run), check(setup)):
        _shows(output, r"has no \[nodes.hardware.valve.left\]")
    assert not (tmp_path / "data").exists()


@pytest.mark.session
def test_a_card_lost_in_mid_pulse_ends_the_session_with_the_valve_shut(
    tmp_path: Path,
) -> None:
    bench = CardBench(tmp_path)
    sets = (*CALIBRATED, *SOON, *PASSIVE)
    args = ("--override", "a simulated card")
    try:
        with Live(tmp_path / "data", *sets, setup=bench.setup, args=args) as live:
            live.until(TrialStart)
            with moved(bench):
                live.until(Valve, refused="")
                bench.card.fail(DEVICE_LOST)
            code, output = live.end()
            summary = live.summary()
        assert code == 1, output
        assert "the card is gone" in summary["end_reason"] or "-88705" in summary["end_reason"]
        assert "\n" not in summary["end_reason"]
        assert bench.openings_ms() == [pytest.approx(148.0, abs=0.01)]
        assert not bench.is_open()
    finally:
        bench.close()


@pytest.mark.session
def test_a_lost_port_ends_the_session_in_one_sentence(tmp_path: Path) -> None:
    bench = BehaviorBench(tmp_path)
    args = ("--override", "a simulated board")
    try:
        sets = (*CALIBRATED, *SOON)
        with Live(tmp_path / "data", *sets, setup=bench.setup, args=args) as live:
            live.until(TrialStart)
            bench.board.unplug()
            code, output = live.end()
            summary = live.summary()
        assert code == 1, output
        assert "board behavior is lost: " in summary["end_reason"]
        assert not bench.is_open()
    finally:
        bench.close()


def _shows(sentence: str, expected: str) -> None:
    assert re.search(expected, sentence), sentence
    assert "\n" not in sentence.strip()
