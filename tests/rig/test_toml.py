"""TOML as people write it: accepted if it is clear, otherwise refused with line and remedy."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import rig
from rig.cli.main import app
from rig.errors import Refused
from rig.process import node_class
from rig.settings.config import SETTINGS_FILE, check_folder, read_session, resolve
from rig.settings.device_factory import make
from rig.settings.toml import read_toml, toml_value

PACKAGE = Path(rig.__file__).parent
SETUP = PACKAGE / "setups" / "simulated.toml"
TASK = PACKAGE.parent / "behavior" / "tasks" / "train1.toml"


def write(folder: Path, data: bytes | str) -> Path:
    path = folder / "mine.toml"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


@pytest.mark.parametrize(
    "data",
    [b"\xef\xbb\xbfa = 1\nb = 2\n", b"a = 1\r\nb = 2\r\n", b"a = 1\rb = 2\r", b"a = 1\nb = 2"],
    ids=["byte order mark", "Windows", "old Mac", "no last line end"],
)
def test_every_editor_s_file_is_read(tmp_path: Path, data: bytes) -> None:
    assert read_toml(write(tmp_path, data)) == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ('x = "D:\\imaging"', "write a path with / or in single quotes"),
        ('x = "C:\\Users\\me"', "write a path with / or in single quotes"),
        ("x = \u201cimaging\u201d", 'use straight quotes (")'),
        ("x = 3,0", "use a decimal point, as in 3.0"),
        ("x = -23,85  # grams", "use a decimal point, as in -23.85"),
        ("x = True", "write true or false, in lower case"),
        ("x = no", "write true or false, in lower case"),
        ("x = active", 'put text in quotes, as in x = "active"'),
        ("x\u00a0= 2", "replace the no-break or wide space (U+00A0) by an ordinary one"),
        ("x = \u22122", 'replace the dash "\u2212" by an ordinary minus sign'),
        ("a = 2", "this key is set already"),
        ("[t]\n[t]", "this table is in the file already"),
        ("x = 3 4", "correct this line"),
    ],
)
def test_a_mistake_is_refused_with_its_line_and_the_remedy(
    tmp_path: Path, line: str, remedy: str
) -> None:
    path = write(tmp_path, f"a = 1\n\n{line}\n")
    with pytest.raises(Refused) as refused:
        read_toml(path)
    number = 3 + line.count("\n")
    assert str(refused.value).startswith(f"{path}, line {number} is not valid TOML: ")
    assert remedy in str(refused.value)


def test_a_key_that_the_last_line_sets_again_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"this key is set already; .* \(at the end of the file\)"):
        read_toml(write(tmp_path, "a = 1\na = 2"))


@pytest.mark.parametrize(
    ("path", "escape"), [("D:\\tif", "\\t"), ("D:\\new", "\\n"), ("D:\\bin", "\\b")]
)
def test_a_path_that_became_a_control_character_is_refused(
    tmp_path: Path, path: str, escape: str
) -> None:
    file = write(tmp_path, f'[rig]\nimaging_folder = "{path}"\n')
    with pytest.raises(Refused) as refused:
        read_toml(file)
    assert f"in the value of rig.imaging_folder, {escape} within" in str(refused.value)
    assert "write a path with / or in single quotes" in str(refused.value)
    single = write(tmp_path, f"[rig]\nimaging_folder = '{path}'\n")
    assert read_toml(single) == {"rig": {"imaging_folder": path}}


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("a = 1".encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        ("a = 1\n# M\u00e4use".encode("latin-1"), "line 2: this is not valid UTF-8"),
        (bytes(range(256)), "is not valid UTF-8"),
    ],
)
def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path, data: bytes, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        read_toml(write(tmp_path, data))


def test_settings_that_are_not_utf_8_are_refused(tmp_path: Path) -> None:
    (tmp_path / SETTINGS_FILE).write_bytes(b'{"subject": "\xff\xfe"}')
    with pytest.raises(Refused, match="is not a session folder"):
        read_session(tmp_path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3.0", 3.0),
        ("true", True),
        ("leaf1", "leaf1"),
        ("['a', 'b']", ["a", "b"]),
        ("/a#2", "/a#2"),
    ],
)
def test_a_value_of_the_command_line_is_toml_or_text(text: str, value: Any) -> None:
    assert toml_value(text) == value


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("task.reward_ul=3,0", "use a decimal point, as in 3.0"),
        ("task.trials=18446744073709551616", "a whole number may have at most 64 bits"),
        ("task.stimuli=[1, -9223372036854775809]", "a whole number may have at most 64 bits"),
        ("seed=-1", "`seed` must be a whole number >= 0"),
        ("task.cue=True", "write true or false, in lower case"),
        ("task.stage=\u201ctrain1\u201d", "use straight quotes"),
        ('rig.imaging_folder="D:\\tif"', "write a path with / or in single quotes"),
        ("rig.imaging_folder=D:/tif", "is a Windows path"),
        ("rig.imaging_folder=D:\\tif", "is a Windows path"),
        ("rig.imaging_folder=a\\b", "separate the folders of a path by /"),
        ("rig.imaging_folder=C:", "is a Windows path"),
        ("rig.imaging_folder=~/imaging", "write the whole path, without ~"),
        ("rig.imaging_folder=$DATA/imaging", "write the whole path, without ~"),
        ("rig.imaging_folder=%USERPROFILE%/imaging", "write the whole path, without ~"),
        ("rig.imaging_folder=file:///imaging", "write the whole path, without ~"),
        ("rig.imaging_folder=' imaging'", "remove the spaces around the path"),
        ("rig.nothing.x=1", "no key `rig.nothing`"),
        ("nodes.nothing.x=1", "there is no table 'nothing'"),
    ],
)
def test_a_mistake_on_the_command_line_is_refused(text: str, remedy: str) -> None:
    with pytest.raises(Refused) as refused:
        resolve(SETUP, TASK, "M1", 1, [text])
    assert remedy in str(refused.value)


def test_a_table_that_the_setup_leaves_out_can_be_set() -> None:
    session = resolve(SETUP, TASK, "M1", 1, ["nodes.hardware.new_table.x=1"]).session
    assert session.nodes["hardware"]["new_table"] == {"x": 1}


@pytest.mark.parametrize(
    "folder", ["imaging", "/data/imaging", "a:b/c", "/data/5%/100%", "/a b/~c"]
)
def test_a_path_of_this_system_is_accepted(folder: str) -> None:
    check_folder(folder, "rig.imaging_folder")


@pytest.mark.parametrize("run", [".task", "", "..", "no.such.module", "rig..node"])
def test_an_impossible_module_name_is_refused(run: str) -> None:
    with pytest.raises(Refused, match="name a module such as"):
        node_class(run)


@pytest.mark.parametrize("path", [".task:Wheel", ":Wheel", "rig.node:", "..:x"])
def test_an_impossible_class_name_is_refused(path: str) -> None:
    with pytest.raises(Refused, match=r"\[wheel\]"):
        make({"is": path}, "[wheel]")


def test_a_number_that_no_message_can_hold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "big.toml"
    path.write_text("[task]\ntrials = [1, 9223372036854775808]\n")
    with pytest.raises(Refused, match=r"task\.trials has more than 64 bits; write a smaller"):
        read_toml(path)
    path.write_text("trials = 9223372036854775807\n")
    assert read_toml(path) == {"trials": 2**63 - 1}


@pytest.mark.parametrize("command", ["run", "simulate", "demo"])
def test_a_seed_that_no_message_can_hold_is_refused(command: str) -> None:
    files = {"run": [str(SETUP), str(TASK), "--subject", "x"], "simulate": [str(TASK)], "demo": []}
    for seed in (2**63, 2**64, 10**40):
        ran = CliRunner().invoke(app, [command, *files[command], "--seed", str(seed)])
        assert ran.exit_code == 2
        assert "--seed" in ran.output
