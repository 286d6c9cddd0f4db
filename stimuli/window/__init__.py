"""The window that shows the corridor: a PsychoPy window, or a simulated screen."""

from stimuli.window.psychopy_screen import PsychopyScreen
from stimuli.window.simulated_screen import SimulatedScreen

__all__ = ["PsychopyScreen", "SimulatedScreen"]
