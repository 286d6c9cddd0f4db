"""The texture cache: a texture is synthesized once; a damaged or outdated one is not used."""

from pathlib import Path

import numpy as np
import pytest

from stimuli.textures import cache as module
from stimuli.textures.cache import cache_folder, load_textures, sha256
from stimuli.textures.names import SHAPE, Texture


class Synthesizer:
    """Return noise and record the requested names."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, name: str) -> Texture:
        self.names.append(name)
        return np.random.default_rng(len(self.names)).integers(0, 256, SHAPE, np.uint8)


@pytest.fixture
def synthesizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Synthesizer:
    synthesizer = Synthesizer()
    monkeypatch.setattr(module, "synthesize", synthesizer)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return synthesizer


def cached_files() -> list[Path]:
    return sorted(cache_folder().iterdir())


def test_a_texture_is_synthesized_once(synthesizer: Synthesizer) -> None:
    first = load_textures(["leaf1", "circle1"])
    again = load_textures(["circle1", "leaf1"])
    assert synthesizer.names == ["leaf1", "circle1"]
    for name, picture in first.items():
        assert np.array_equal(picture, again[name])
    assert list(again) == ["circle1", "leaf1"]


def test_a_swap_is_made_from_the_texture_that_is_shown(synthesizer: Synthesizer) -> None:
    shown = load_textures(["leaf1_swap2", "leaf1"])
    assert synthesizer.names == ["leaf1"]
    assert np.array_equal(np.roll(shown["leaf1"], SHAPE[1] // 2, 1), shown["leaf1_swap2"])


@pytest.mark.parametrize("at", [0, 40, -1])
def test_a_damaged_texture_is_synthesized_again(synthesizer: Synthesizer, at: int) -> None:
    load_textures(["leaf1"])
    (path,) = cached_files()
    held = bytearray(path.read_bytes())
    held[at] ^= 1
    path.write_bytes(held)
    redrawn = load_textures(["leaf1"])
    assert synthesizer.names == ["leaf1", "leaf1"]
    assert np.array_equal(load_textures(["leaf1"])["leaf1"], redrawn["leaf1"])
    path.write_bytes(held[:1000])
    load_textures(["leaf1"])
    assert len(synthesizer.names) == 3


def test_a_new_version_synthesizes_again_and_replaces_the_old(
    synthesizer: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_textures(["leaf1", "leaf2"])
    monkeypatch.setattr(module, "version", lambda: "another")
    load_textures(["leaf1"])
    assert synthesizer.names == ["leaf1", "leaf2", "leaf1"]
    assert [path.name.partition("-")[0] for path in cached_files()] == ["leaf1", "leaf2"]
    assert "another" in cached_files()[0].name


def test_without_a_cache_folder_textures_are_synthesized_each_time(
    synthesizer: Synthesizer, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    load_textures(["leaf1"])
    load_textures(["leaf1"])
    assert synthesizer.names == ["leaf1", "leaf1"]


def test_the_hash_is_of_every_pixel(synthesizer: Synthesizer) -> None:
    picture = load_textures(["leaf1"])["leaf1"].copy()
    before = sha256(picture)
    picture[-1, -1] ^= 1
    assert sha256(picture) != before
