"""A session runs the installed code, not that of the folder in which it is started."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import rig
from rig.loaded_code import loaded_code
from rig.messages import Ended
from rig.session import process_monitor
from tests.hubs import running_hub

ROOT = Path(rig.__file__).parents[1]
PRINT = "from rig.loaded_code import loaded_code; print(loaded_code())"


def test_every_module_of_the_program_is_named_with_its_hash() -> None:
    file, digest = loaded_code()["rig.messages"]
    assert file == str(Path(rig.__file__).parent / "messages.py")
    assert digest == hashlib.sha256(Path(file).read_bytes()).hexdigest()
    assert not [name for name in loaded_code() if name.startswith(("numpy", "json"))]


def test_a_module_beside_the_command_does_not_run_in_a_node(tmp_path: Path) -> None:
    for name in ("random", "zmq", "rig"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong code ran')")
    command = process_monitor.command("json.tool", "--help")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    safe = [*command[: command.index("-m")], "-c", f"import random, zmq; {PRINT}"]
    done = subprocess.run(safe, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert str(tmp_path) not in done.stdout


def test_a_module_that_shadows_a_library_is_named(tmp_path: Path) -> None:
    (tmp_path / "colorsys.py").write_text("x = 1\n")
    code = f"import colorsys; {PRINT}"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "'colorsys'" in done.stdout


def test_the_end_of_a_node_names_its_modules() -> None:
    with running_hub("a") as hub:
        bus = hub.bus("a", Ended)
        bus.end("a", "done", failed=False)
        ended = None
        while ended is None:
            ended = next((m for _, m in bus.receive(None) if isinstance(m, Ended)), None)
        assert "rig.transport.bus" in ended.modules


def test_every_process_is_started_without_the_current_folder() -> None:
    """`python -m` alone would search it first, and a file there could replace a module."""
    for room in ("rig", "behavior", "stimuli", "acquisition", "analysis"):
        for path in (ROOT / room).rglob("*.py"):
            assert not re.search(r'sys\.executable,\s+"-m"', path.read_text()), path
