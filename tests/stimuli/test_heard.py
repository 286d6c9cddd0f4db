"""The real library, a real stream and a sound server: what is heard, and when it is said to be."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from stimuli.sound.cue_sound import Tone, samples
from tests.stimuli.pulse import SAMPLE_HZ, Server, missing, pulse

CUES = 4
PLAY = f"""
import json, time
from rig.clock import RealClock, monotonic_ns
from rig.messages import Cue, CueOnset
from stimuli.sound.portaudio_speaker import PortaudioSpeaker
from stimuli.sound.cue_sound import Cues
said, clock = [], RealClock(monotonic_ns())
cues = Cues(PortaudioSpeaker(PortaudioSpeaker.Settings(latency_ms=100.0)), said.append)
cues.open(clock.now, real_animal=True)
asked = []
for trial in range({CUES}):
    asked.append(clock.now())
    cues.handle(Cue(asked[-1], trial, 1.0))
    onsets = []
    while len(onsets) <= trial or clock.now() < onsets[-1].t + 400_000_000:
        time.sleep(0.01)
        cues.tick(clock.now())
        onsets = [word for word in said if isinstance(word, CueOnset)]
cues.close()
print(json.dumps([asked, [(type(word).__name__, word.t) for word in said]]))
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    if (lack := missing()) is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(lack)
        pytest.skip(lack)
    with pulse(tmp_path) as server:
        yield server


def test_each_cue_is_heard_whole_when_its_onset_is_told(server: Server) -> None:
    played = subprocess.run(
        [sys.executable, "-c", PLAY], env=server.env, capture_output=True, text=True, check=False
    )
    assert played.returncode == 0, played.stderr
    asked, said = json.loads(played.stdout)
    told_s = np.array([t for kind, t in said if kind == "CueOnset"]) / 1e9
    assert told_s.size == CUES
    assert (told_s > np.array(asked) / 1e9).all()
    holes = sum(kind == "Fault" for kind, _ in said)  # on a machine that is very busy
    received, tone = server.received(), samples(Tone())
    assert np.array_equal(received[:, 0], received[:, 1])
    loud = np.flatnonzero(received[:, 0])
    begins = loud[np.diff(loud, prepend=-SAMPLE_HZ) > SAMPLE_HZ // 10] - 1  # a ramp begins with 0
    parts = [received[begin : begin + tone.size, 0] for begin in begins]
    whole = [part.size == tone.size and np.allclose(part, tone, atol=1e-6) for part in parts]
    assert 0 < CUES - holes <= sum(whole) <= CUES
    if not holes:  # such a server plays in fragments of up to 100 ms
        assert np.diff(begins) / SAMPLE_HZ == pytest.approx(np.diff(told_s), abs=0.15)
