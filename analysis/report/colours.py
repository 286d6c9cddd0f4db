"""The colours of a report: one for each stimulus, and others for areas and marks.

Those of stimuli are chosen so that any two can be distinguished in the simulated vision of all
three kinds of colour blindness (Machado et al., 2009: CIELAB distance of 30 or more), on white and
on the dark ground of the live page, which has the same ones.
"""

from collections.abc import Iterable

INK, DIM, RULE, GREY = "#1c2733", "#66727f", "#e3e8ed", "rgba(110,120,130,0.13)"
BAD, GOOD = "#c62f3b", "#2b8a57"
CUE, WATER, LICK, SPEED = "#111111", "#00997a", "#2b3946", "#9fb0bf"
DATA = "#5b6b7b"
"""Colour of values that belong to no stimulus and no area."""

STIMULI = {
    "leaf1": "#5858fa",
    "circle1": "#d12417",
    "leaf2": "#4bc5ce",
    "circle2": "#ae33b1",
    "leaf3": "#696155",
    "leaf1_swap1": "#f8a108",
    "leaf1_swap2": "#b8bc75",
}
"""The stimuli of the study: leaf1 blue, circle1 red, leaf2 cyan, circle2 magenta."""

AREAS = {
    "all": ("#111111", "solid"),
    "V1": ("#8a8f98", "solid"),
    "medial": ("#6b4f2a", "dash"),
    "lateral": ("#6b4f2a", "dot"),
    "anterior": ("#8a8f98", "dashdot"),
}
"""Line colour and dash of each group of areas."""


def stimulus_colours(names: Iterable[str]) -> dict[str, str]:
    """Return a colour for each stimulus, in the given order.

    Stimuli of the study have fixed colours; the others get the unused colours, in order.
    """
    names = list(names)
    taken = {STIMULI[name] for name in names if name in STIMULI}
    free = [colour for colour in STIMULI.values() if colour not in taken] or [DATA]
    others = [name for name in names if name not in STIMULI]
    spare = {name: free[n % len(free)] for n, name in enumerate(others)}
    return {name: STIMULI.get(name) or spare[name] for name in names}
