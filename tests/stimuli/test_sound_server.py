"""The real sounddevice library with a sound server: what is heard, and the reported onset."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from stimuli.sound.cue_sound import Tone, tone_samples
from tests.stimuli.sound_server import SAMPLE_HZ, Server, missing, sound_server

CUES = 4
PLAY = f"""
import json, time
from rig.clock import RealClock, monotonic_ns
from rig.messages import Cue, CueOnset
from stimuli.sound.portaudio_speaker import PortaudioSpeaker
from stimuli.sound.cue_sound import CuePlayer
published, clock = [], RealClock(monotonic_ns())
cues = CuePlayer(PortaudioSpeaker(PortaudioSpeaker.Settings(latency_ms=100.0)), published.append)
cues.open(clock.now, real_animal=True)
started = []
for trial in range({CUES}):
    started.append(clock.now())
    cues.handle(Cue(started[-1], trial, 1.0))
    onsets = []
    while len(onsets) <= trial or clock.now() < onsets[-1].t + 400_000_000:
        time.sleep(0.01)
        cues.tick(clock.now())
        onsets = [message for message in published if isinstance(message, CueOnset)]
cues.close()
print(json.dumps([started, [(type(message).__name__, message.t) for message in published]]))
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    if (lack := missing()) is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(lack)
        pytest.skip(lack)
    with sound_server(tmp_path) as server:
        yield server


def test_each_cue_is_played_completely_at_its_reported_onset(server: Server) -> None:
    played = subprocess.run(
        [sys.executable, "-c", PLAY], env=server.env, capture_output=True, text=True, check=False
    )
    assert played.returncode == 0, played.stderr
    started, published = json.loads(played.stdout)
    reported_s = np.array([t for kind, t in published if kind == "CueOnset"]) / 1e9
    assert reported_s.size == CUES
    assert (reported_s > np.array(started) / 1e9).all()
    interrupted = sum(kind == "Fault" for kind, _ in published)  # on a very busy machine
    received, tone = server.received(), tone_samples(Tone())
    assert np.array_equal(received[:, 0], received[:, 1])
    loud = np.flatnonzero(received[:, 0])
    begins = loud[np.diff(loud, prepend=-SAMPLE_HZ) > SAMPLE_HZ // 10] - 1  # a ramp begins with 0
    parts = [received[begin : begin + tone.size, 0] for begin in begins]
    complete = [part.size == tone.size and np.allclose(part, tone, atol=1e-6) for part in parts]
    assert 0 < CUES - interrupted <= sum(complete) <= CUES
    if not interrupted:  # such a server plays in fragments of up to 100 ms
        assert np.diff(begins) / SAMPLE_HZ == pytest.approx(np.diff(reported_s), abs=0.15)
