"""Headers of every version give the same settings; real ones give their known settings."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.scanimage.header import Header, differences, parse_header
from acquisition.scanimage.matlab_literals import Value, literal, read_lines, value_of
from acquisition.scanimage.regions import parse_regions
from tests.acquisition.real import header_of_2015, header_of_2020

OF_3 = (
    "state.configName='mouse'\rstate.software.version=3.8\rstate.acq.frameRate=3.90625\r"
    "state.acq.zoomFactor=4\rstate.acq.savingChannel1=1\rstate.acq.savingChannel2=0\r"
    "state.acq.savingChannel3=1\rstate.acq.savingChannel4=0\r"
    "state.motor.absXPosition=1.5\rstate.motor.absYPosition=-2\rstate.motor.absZPosition=30"
)
OF_4 = """scanimage.SI4.versionMajor = 4.2
scanimage.SI4.channelsSave = [1;2]
scanimage.SI4.scanFrameRate = 30.02
scanimage.SI4.scanZoomFactor = 5.9
scanimage.SI4.beamPowers = 12.5
scanimage.SI4.motorPosition = [-33936.5 -106316 -55308.5]
scanimage.SI4.fastZEnable = true
scanimage.SI4.stackNumSlices = 3
"""
OF_5 = """Frame Number =                5
Frame Timestamp(s) =               0.133179812
scanimage.SI5.VERSION_MAJOR = 5
scanimage.SI5.VERSION_MINOR = 0
scanimage.SI5.channelsSave = 1
scanimage.SI5.scanFrameRate = 30.5
scanimage.SI5.scanZoomFactor = 2
"""
OF_2016 = """SI.VERSION_MAJOR = '2016b'
SI.VERSION_MINOR = '0'
SI.hChannels.channelSave = [1;2]
SI.hRoiManager.scanFrameRate = 30.0
SI.hRoiManager.scanVolumeRate = 5.0
SI.hFastZ.enable = true
SI.hFastZ.numDiscardFlybackFrames = 1
SI.hStackManager.zs = [0 20 40 60 80]
SI.hBeams.powers = [28 7.5]
SI.hPmts.gains = [650;700]
SI.hMotors.motorPosition = [1 2 3]
SI.hFastZ.positionTarget = 425
"""


def test_old_versions_have_the_same_settings_under_their_own_names() -> None:
    three, four, five = parse_header(OF_3), parse_header(OF_4), parse_header(OF_5)
    assert (three.version, four.version, five.version) == ("3.8", "4.2", "5.0")
    assert (three.channels, four.channels, five.channels) == ((1, 3), (1, 2), (1,))
    rates = (three.frame_rate_hz, four.frame_rate_hz, five.frame_rate_hz)
    assert rates == (3.90625, 30.02, 30.5)
    assert (three.zoom, four.zoom, five.zoom) == (4.0, 5.9, 2.0)
    assert three.objective_um == (1.5, -2.0, 30.0)
    assert four.objective_um == (-33936.5, -106316.0, -55308.5)
    assert four.power_percent == (12.5,)
    assert (three.slices, four.slices, five.slices) == (1, 3, 1)
    assert four.volume_rate_hz == pytest.approx(30.02 / 3)


def test_a_volume_with_frames_on_the_way_back() -> None:
    header = parse_header(OF_2016)
    assert header.version == "2016b.0"
    assert (header.slices, header.flyback_frames, header.depths_per_frame) == (5, 1, 1)
    assert header.depths_um == (0.0, 20.0, 40.0, 60.0, 80.0)
    assert header.power_percent == (28.0, 7.5) and header.pmt_gains == (650.0, 700.0)
    assert header.objective_um == (1.0, 2.0, 3.0) and header.fast_z_um == 425.0


def test_a_real_header_of_two_simultaneous_planes() -> None:
    text, groups = header_of_2020()
    header = parse_header(text)
    assert (header.frame_rate_hz, header.volume_rate_hz) == (37.9059, 9.47647)
    assert (header.slices, header.depths_per_frame, header.channels) == (4, 2, (1, 2))
    assert list(header.depths_um) == [195, 105, 207, 116, 167, 92, 183, 112]
    assert (header.um_per_degree, header.version) == (157.0, "2020.1.4")
    assert (header.power_percent, header.fly_to_lines) == ((32.0, 50.0), 120)
    regions = parse_regions(groups)
    assert [(r.name, tuple(f.z_um for f in r.fields)) for r in regions] == [
        ("V1_anterior", (105, 195)),
        ("AL", (116, 207)),
        ("AM", (92, 167)),
        ("PM", (112, 183)),
    ]
    assert {f.px for r in regions for f in r.fields} == {(512, 512)}


def test_a_real_header_of_nine_strips() -> None:
    text, _ = header_of_2015()
    header = parse_header(text)
    assert (header.line_period_s, header.fly_to_lines) == (41.59925e-6, 122)
    assert header.frame_rate_hz is not None
    assert 1 / header.frame_rate_hz == pytest.approx(0.219375)
    assert (header.power_percent, header.zoom, header.um_per_degree) == ((28.0,), 10.0, 157.5)
    assert header.objective_um == (-652.5, 6397.0, -3393.2, 425.0)
    assert (header.depths_um, header.multi_region) == ((425.0,), True)


def test_two_channels_of_two_colours_are_not_two_planes() -> None:
    text, _ = header_of_2020()
    header = parse_header(text.replace("laserGate = true", "laserGate = false"))
    assert (header.depths_per_frame, header.depths_um) == (1, (195.0, 207.0, 167.0, 183.0))


def test_differences_from_the_last_session_are_phrases() -> None:
    before = Header(power_percent=(28.0,), zoom=1.0, objective_um=(1.0, 2.0, 3.0))
    now = Header(power_percent=(35.5,), zoom=1.0, objective_um=(9.0, 9.0, 9.0), channels=(1, 2))
    assert differences(now, now) == ()
    assert differences(now, before) == (
        "channels saved 1 2, last session none",
        "laser power (%) 35.5, last session 28",
    )


numbers = st.floats(allow_nan=False, width=32)
rows = st.lists(numbers, min_size=2, max_size=4).map(tuple)


@given(st.one_of(numbers, rows, st.from_regex(r"[A-Za-z_ ]{0,9}", fullmatch=True)))
def test_matlab_literals_are_read_back(value: Value) -> None:
    found = value_of(literal(value))
    if value in ("true", "false", "Inf", "NaN"):
        return
    if isinstance(value, str):
        assert found == value
    else:
        assert found == pytest.approx(value)


def test_matlabs_literals() -> None:
    assert value_of("[1 2;3 4]") == ((1.0, 2.0), (3.0, 4.0))
    assert value_of("[1;2]") == (1.0, 2.0)
    assert value_of("[]") == ()
    assert value_of("-Inf") == -math.inf
    assert value_of("'[1 2]'") == "[1 2]"
    assert value_of("{'a' 'b'}") == "{'a' 'b'}"
    assert read_lines("a = 1\nSI.b.c = 'x'\nno line") == {"a": 1.0, "b.c": "x"}


@given(st.text(max_size=200))
def test_any_text_is_read_as_a_header(text: str) -> None:
    assert parse_header(text).slices >= 1
    assert isinstance(parse_header(f"SI.hStackManager.zs = {text}").depths_um, tuple)


def test_a_pages_description_is_read_in_the_same_way() -> None:
    """The description has the time of day, and the edges at auxiliary inputs in seconds."""
    text = (
        "frameNumbers = 7\nepoch = [2025  3  4  9 30 5.250]\nauxTrigger0 = [1.5 2.25]\nI2CData = {}"
    )
    assert read_lines(text) == {
        "frameNumbers": 7.0,
        "epoch": (2025.0, 3.0, 4.0, 9.0, 30.0, 5.25),
        "auxTrigger0": (1.5, 2.25),
        "I2CData": "{}",
    }
