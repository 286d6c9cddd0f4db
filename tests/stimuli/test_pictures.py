"""Pictures by name: kept from one session to the next, and never another one than was drawn."""

from pathlib import Path

import numpy as np
import pytest

from stimuli.textures import cache as module
from stimuli.textures.cache import folder, pictures, sha256
from stimuli.textures.names import SHAPE, Picture


class Drawer:
    """Draws noise, and remembers what it drew."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, name: str) -> Picture:
        self.names.append(name)
        return np.random.default_rng(len(self.names)).integers(0, 256, SHAPE, np.uint8)


@pytest.fixture
def drawer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drawer:
    drawer = Drawer()
    monkeypatch.setattr(module, "draw", drawer)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return drawer


def kept() -> list[Path]:
    return sorted(folder().iterdir())


def test_a_picture_is_drawn_once(drawer: Drawer) -> None:
    first = pictures(["leaf1", "circle1"])
    again = pictures(["circle1", "leaf1"])
    assert drawer.names == ["leaf1", "circle1"]
    for name, picture in first.items():
        assert np.array_equal(picture, again[name])
    assert list(again) == ["circle1", "leaf1"]


def test_a_swap_is_cut_from_the_picture_that_is_shown(drawer: Drawer) -> None:
    shown = pictures(["leaf1_swap2", "leaf1"])
    assert drawer.names == ["leaf1"]
    assert np.array_equal(np.roll(shown["leaf1"], SHAPE[1] // 2, 1), shown["leaf1_swap2"])


@pytest.mark.parametrize("at", [0, 40, -1])
def test_a_picture_that_is_no_longer_whole_is_drawn_anew(drawer: Drawer, at: int) -> None:
    pictures(["leaf1"])
    (path,) = kept()
    held = bytearray(path.read_bytes())
    held[at] ^= 1
    path.write_bytes(held)
    redrawn = pictures(["leaf1"])
    assert drawer.names == ["leaf1", "leaf1"]
    assert np.array_equal(pictures(["leaf1"])["leaf1"], redrawn["leaf1"])
    path.write_bytes(held[:1000])
    pictures(["leaf1"])
    assert len(drawer.names) == 3


def test_another_program_draws_anew_and_takes_the_place(
    drawer: Drawer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures(["leaf1", "leaf2"])
    monkeypatch.setattr(module, "version", lambda: "another")
    pictures(["leaf1"])
    assert drawer.names == ["leaf1", "leaf2", "leaf1"]
    assert [path.name.partition("-")[0] for path in kept()] == ["leaf1", "leaf2"]
    assert "another" in kept()[0].name


def test_without_a_place_to_keep_them_pictures_are_drawn_each_time(
    drawer: Drawer, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    pictures(["leaf1"])
    pictures(["leaf1"])
    assert drawer.names == ["leaf1", "leaf1"]


def test_the_hash_is_of_every_pixel(drawer: Drawer) -> None:
    picture = pictures(["leaf1"])["leaf1"].copy()
    before = sha256(picture)
    picture[-1, -1] ^= 1
    assert sha256(picture) != before
