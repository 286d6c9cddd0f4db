"""The sound cue, and the speakers that play it."""

from stimuli.sound.portaudio_speaker import PortaudioSpeaker
from stimuli.sound.simulated_speaker import SimulatedSpeaker

__all__ = ["PortaudioSpeaker", "SimulatedSpeaker"]
