"""The docs of the display: their examples are valid, and every setting is described."""

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from rig.settings.device_factory import make
from stimuli.display import Display
from stimuli.scene.corridor_geometry import CorridorGeometry
from stimuli.scene.open_loop import Bars, field_of_view
from stimuli.screens.screen_geometry import View, Warp, azimuth_elevation, load_screens
from stimuli.screens.window_layout import Area, compute_layout
from stimuli.sound import PortaudioSpeaker
from stimuli.window import PsychopyScreen

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"


def examples(name: str) -> list[dict[str, Any]]:
    """Return the TOML examples of a document."""
    return [tomllib.loads(text) for text in re.findall(r"```toml\n(.*?)```", document(name), re.S)]


def document(name: str) -> str:
    return (HOW_TO / name).read_text(encoding="utf-8")


def test_the_example_of_three_monitors_is_a_valid_display() -> None:
    (example,) = examples("screens.md")
    node = Display(msgspec.convert(example["nodes"]["display"], Display.Settings), lambda _: None)
    assert isinstance(node.screen, PsychopyScreen)
    screens = load_screens(node.settings.views, node.settings.warps)
    window = msgspec.convert(
        {k: v for k, v in node.settings.screen.items() if k != "is"}, PsychopyScreen.Settings
    )
    layout = compute_layout(screens, window.size_px, window.patch_px, window.patch_at_px)
    assert layout.size_px == (5760, 1080)
    assert layout.areas == tuple(Area(1920 * n, 0, 1920, 1080) for n in range(3))
    assert layout.patch == Area(0, 0, 40, 40)
    assert field_of_view(screens)[:2] == pytest.approx((-135, 135), abs=0.5)
    square = [
        np.hypot(np.diff(angle[540, 959:961])[0], np.diff(angle[539:541, 960])[0])
        for angle in azimuth_elevation(screens[1], 1920, 1080)
    ]
    assert square[0] == pytest.approx(square[1], rel=0.05)  # pixels are square


def test_the_examples_of_bars_and_sound_are_valid() -> None:
    _, bars, sound = examples("pictures.md")
    assert msgspec.convert(bars["nodes"]["display"]["bars"], Bars) == Bars()
    assert isinstance(make(sound["nodes"]["display"]["sound"], "sound"), PortaudioSpeaker)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        (
            "screens.md",
            (Display.Settings, PsychopyScreen.Settings, View, Warp, CorridorGeometry),
        ),
        ("pictures.md", (Bars, PortaudioSpeaker.Settings)),
    ],
)
def test_every_setting_is_described(name: str, kinds: tuple[Any, ...]) -> None:
    text = document(name)
    for kind in kinds:
        for key in set(kind.__struct_fields__) - {"run"}:
            assert re.search(rf"`{key}`|^{key} = ", text, re.M), f"{name}: {key} is not described"
