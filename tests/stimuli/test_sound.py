"""The sound cue: its tone, the report of its onset, and sessions without sound."""

import re
import sys
from collections.abc import Callable, Iterator
from importlib.abc import MetaPathFinder
from typing import Any

import msgspec
import numpy as np
import pytest

from rig.clock import SetClock
from rig.errors import Refused
from rig.messages import Cue, CueOnset, Fault, Message, Start
from stimuli.sound.cue_sound import CuePlayer, Speaker, Tone, tone_samples
from stimuli.sound.portaudio_speaker import PortaudioSpeaker
from stimuli.sound.simulated_speaker import SimulatedSpeaker
from tests.stimuli import fake_portaudio
from tests.stimuli.fake_portaudio import OutputStream

MS = 1_000_000


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[OutputStream]]:
    """Replace the library by the fake."""
    monkeypatch.setitem(sys.modules, "sounddevice", fake_portaudio)
    monkeypatch.setattr(OutputStream, "opened", [])
    yield OutputStream
    assert all(stream.closed for stream in OutputStream.opened)


def portaudio_speaker(**table: Any) -> PortaudioSpeaker:
    return PortaudioSpeaker(msgspec.convert(table, PortaudioSpeaker.Settings))


@pytest.fixture(params=[SimulatedSpeaker, PortaudioSpeaker])
def speaker(request: pytest.FixtureRequest, library: type[OutputStream]) -> Speaker:
    made: Speaker = request.param(msgspec.convert({}, request.param.Settings))
    return made


def advance(clock: SetClock, ms: int) -> None:
    """Advance the clock while every open stream asks for blocks of 10 ms."""
    for _ in range(ms // 10):
        for stream in OutputStream.opened:
            if stream.started and not stream.closed:
                stream.block(480)
        clock.set(clock.now() + 10 * MS)


def test_a_speaker_reports_each_onset_once(speaker: Speaker) -> None:
    clock = SetClock()
    speaker.open(clock.now)
    advance(clock, 100)
    assert speaker.onsets() == []
    started = []
    for _ in range(3):
        started.append(clock.now())
        speaker.play()
        advance(clock, 300)
    received = speaker.onsets()
    assert speaker.onsets() == []
    assert [0 <= t - a <= 20 * MS for t, a in zip(received, started, strict=True)] == [True] * 3
    speaker.close()


def test_a_speaker_may_be_closed_unopened_twice_and_opened_again(speaker: Speaker) -> None:
    speaker.close()
    for _ in range(2):
        speaker.open(SetClock().now)
        speaker.play()
        speaker.close()
    speaker.close()


@pytest.mark.usefixtures("library")
def test_blocks_of_any_size_make_one_whole_tone_between_silences() -> None:
    speaker = portaudio_speaker(channels=3)
    speaker.open(SetClock().now)
    (stream,) = OutputStream.opened
    assert not stream.block(200).any()
    speaker.play()
    blocks = [stream.block(size) for size in (17, 1000, 480, 3000, 480, 480)]
    speaker.close()
    played = np.concatenate(blocks)
    tone = tone_samples(Tone())
    assert np.array_equal(played[: len(tone)], np.repeat(tone[:, None], 3, 1))
    assert not played[len(tone) :].any()


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(("reports", "later_ms"), [(True, 8), (False, 20)])
def test_the_onset_is_when_the_block_leaves_the_device(
    monkeypatch: pytest.MonkeyPatch, reports: bool, later_ms: int
) -> None:
    monkeypatch.setattr(OutputStream, "reports_times", reports)
    speaker, clock = portaudio_speaker(), SetClock()
    speaker.open(clock.now)
    clock.set(500 * MS)
    speaker.play()
    OutputStream.opened[0].block(480)
    OutputStream.opened[0].block(480)
    assert speaker.onsets() == [(500 + later_ms) * MS]
    speaker.close()


@pytest.mark.usefixtures("library")
def test_a_cue_during_another_starts_again() -> None:
    speaker = portaudio_speaker()
    speaker.open(SetClock().now)
    (stream,) = OutputStream.opened
    speaker.play()
    first = stream.block(480)
    speaker.play()
    assert np.array_equal(stream.block(480), first)
    assert len(speaker.onsets()) == 2
    speaker.close()


def test_the_tone_has_its_pitch_its_length_and_no_click() -> None:
    tone = tone_samples(msgspec.convert({"tone_hz": 7900, "tone_ms": 50, "volume": 0.3}, Tone))
    assert tone.size == 2400
    spectrum = np.abs(np.fft.rfft(tone))
    assert np.argmax(spectrum) * 48_000 / tone.size == pytest.approx(7900, abs=20)
    assert np.abs(tone).max() == pytest.approx(0.3, rel=0.02)
    assert np.abs(tone[[0, -1]]).max() < 0.001
    envelope = np.abs(tone).reshape(-1, 24).max(axis=1)
    assert (np.diff(envelope[:8]) > 0).all()
    assert (np.diff(envelope[-8:]) < 0).all()


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"tone_hz": 30_000}, "tone_hz = 30000 needs a sample_hz above 60000"),
        ({"tone_ms": 8.0}, "two ramps of ramp_ms = 5 are longer than tone_ms = 8"),
    ],
)
def test_an_impossible_tone_is_refused(table: dict[str, float], sentence: str) -> None:
    classes: tuple[Any, ...] = (SimulatedSpeaker, PortaudioSpeaker)
    for kind in classes:
        with pytest.raises(Refused, match=sentence):
            kind(msgspec.convert(table, kind.Settings))


@pytest.mark.usefixtures("library")
def test_an_underrun_in_a_cue_is_a_fault_and_one_in_silence_is_not() -> None:
    published: list[Message] = []
    clock = SetClock()
    cues = CuePlayer(portaudio_speaker(), published.append)
    cues.open(clock.now, real_animal=True)
    (stream,) = OutputStream.opened
    stream.block(480, dry=True)
    for trial, dry in ((3, False), (4, True)):
        cues.handle(Cue(clock.now(), trial, 1.0))
        stream.block(480, dry=True)
        for _ in range(12):
            stream.block(480, dry=dry)
        cues.tick(clock.now())
    cues.tick(clock.now())
    cues.close()
    *onsets, fault = published
    assert [onset.trial for onset in onsets if isinstance(onset, CueOnset)] == [3, 4]
    assert isinstance(fault, Fault)
    assert "the cue of trial 4 was interrupted" in fault.text


@pytest.mark.usefixtures("library")
def test_the_latency_of_the_stream_is_that_of_the_setup() -> None:
    for table, latency in (({}, "low"), ({"latency_ms": 30.0}, 0.03)):
        speaker = portaudio_speaker(**table)
        speaker.open(SetClock().now)
        assert OutputStream.opened[-1].options["latency"] == latency
        speaker.close()


def without_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)


def without_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", fake_portaudio)
    monkeypatch.setattr(OutputStream, "lack", "Error querying device -1")


def without_alsa(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the import of the library fail, as it does if ALSA has no configuration."""

    class Importer(MetaPathFinder):
        def find_spec(self, name: str, *more: Any) -> None:
            if name == "sounddevice":
                raise fake_portaudio.PortAudioError("Error initializing PortAudio")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Importer(), *sys.meta_path])


@pytest.mark.parametrize(
    ("lack", "sentence"),
    [
        (without_alsa, "the sound cue needs PortAudio .Error initializing"),
        (without_library, "the sound cue needs PortAudio .*apt-get install .*libportaudio2"),
        (without_device, "no sound device can play 2 channels at 48000 Hz .*connect one"),
    ],
)
def test_without_sound_a_real_animal_is_refused_and_a_simulated_one_runs(
    monkeypatch: pytest.MonkeyPatch, lack: Callable[[pytest.MonkeyPatch], None], sentence: str
) -> None:
    lack(monkeypatch)
    with pytest.raises(Refused, match=sentence):
        CuePlayer(portaudio_speaker(), lambda _: None).open(SetClock().now, real_animal=True)
    published: list[Message] = []
    cues = CuePlayer(portaudio_speaker(), published.append)
    cues.open(SetClock().now, real_animal=False)
    for message in (Start(5, {}), Cue(7, 0, 1.0)):
        cues.handle(message)
    cues.tick(10_000 * MS)
    cues.close()
    (fault,) = published
    assert isinstance(fault, Fault)
    assert fault.t == 5
    assert fault.text.startswith("there is no sound: ")


def test_the_library_itself_plays_or_is_refused_in_one_sentence() -> None:
    speaker, clock = portaudio_speaker(), SetClock()
    try:
        speaker.open(clock.now)
    except Refused as refusal:
        assert re.search("needs PortAudio|no sound device", str(refusal))
    else:
        speaker.play()
    speaker.close()


def test_each_cue_gets_the_onset_of_its_own_trial() -> None:
    published: list[Message] = []
    clock = SetClock()
    cues = CuePlayer(SimulatedSpeaker(SimulatedSpeaker.Settings(latency_ms=9.0)), published.append)
    cues.open(clock.now, real_animal=True)
    for trial in (3, 4):
        cues.handle(Cue(clock.now(), trial, 1.0))
        cues.tick(clock.now())
        clock.set(clock.now() + 20 * MS)
        cues.tick(clock.now())
    assert published == [CueOnset(9 * MS, 3), CueOnset(29 * MS, 4)]


@pytest.mark.usefixtures("library")
def test_a_cue_that_does_not_sound_is_a_fault() -> None:
    published: list[Message] = []
    cues = CuePlayer(portaudio_speaker(), published.append)
    cues.open(SetClock().now, real_animal=True)
    cues.handle(Cue(1000, 6, 1.0))
    cues.tick(400 * MS)
    assert published == []
    cues.tick(501 * MS)
    cues.tick(502 * MS)
    (fault,) = published
    assert isinstance(fault, Fault)
    assert "the cue of trial 6 did not sound within 500 ms" in fault.text
    cues.close()
