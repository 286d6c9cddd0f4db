"""The rules of the architecture: layers, one publisher per message, shipped tables, pins."""

import re
import subprocess
import sys
from configparser import ConfigParser
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from rig.errors import Refused
from rig.messages import COMMON_MESSAGES, MESSAGE_TYPES, OperatorRequest, Start, Stop, kind
from rig.process import completed, node_class
from rig.settings.config import resolve
from rig.settings.device_factory import is_simulated
from rig.transport.envelope import Envelope
from tests.live import SETUP, TASK

ROOT = Path(__file__).parents[1]
ROOMS = ("rig", "behavior", "stimuli", "acquisition", "analysis")
NODES = (
    "behavior.hardware",
    "behavior.task",
    "behavior.referee",
    "stimuli.display",
    "acquisition.mesoscope",
    "acquisition.stream",
    "acquisition.integrity",
    "analysis.online",
    "analysis.closed_loop",
    "rig.recorder",
)
LAUNCH_PUBLISHES = {Start, Stop, OperatorRequest}


def test_imports_go_down() -> None:
    run = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout


def test_no_line_is_longer_than_100_columns() -> None:
    """Ruff allows those that end with a pragma, and looks at Python alone."""
    files = [p for room in (*ROOMS, "tests") for p in (ROOT / room).rglob("*.*")]
    lines = (
        (f"{path.relative_to(ROOT)}:{number}", line)
        for path in files
        if path.suffix in (".py", ".toml")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    )
    assert [where for where, line in lines if len(line) > 100] == []


def test_every_message_has_one_publisher_and_every_subscription_a_source() -> None:
    nodes = [node_class(module) for module in NODES]
    published = [w for node in nodes for w in node.publishes if w not in COMMON_MESSAGES]
    assert len(published) == len(set(published))
    assert set(published) | LAUNCH_PUBLISHES | set(COMMON_MESSAGES) == set(MESSAGE_TYPES)
    received = {w for node in nodes for w in node.subscribes if w is not Envelope}
    assert received <= set(published) | LAUNCH_PUBLISHES | set(COMMON_MESSAGES)


def test_the_plan_lists_what_each_node_publishes_and_subscribes_to() -> None:
    plan = (ROOT / "docs" / "architecture.md").read_text()
    rows = dict(re.findall(r"^\| (\w+)(?: \([^|]+\))? \| ([^|]+ \| [^|]+) \|$", plan, re.M))
    names = {kind(message) for message in MESSAGE_TYPES}
    for node in map(node_class, NODES):
        listed = [set(re.findall(r"\w+", cell)) & names for cell in rows[node.name].split("|")]
        subscribes = [message for message in node.subscribes if message is not Envelope]
        assert listed == [set(map(kind, node.publishes)), {m.__name__ for m in subscribes}], (
            node.name
        )


def test_the_plan_lists_every_folder_and_only_modules_that_are_there() -> None:
    plan = (ROOT / "docs" / "architecture.md").read_text()
    listed: set[Path] = set()
    for cell, text in re.findall(r"^\| \**(\w[\w/ ]*/)\** \| (.+) \|$", plan, re.M):
        folders = [Path(folder) for folder in cell.split()]
        listed |= set(folders)
        for module in re.findall(r"`(\w+)`", text):
            there = [f / f"{module}.py" for f in folders] + [f / module for f in folders]
            assert any((ROOT / path).exists() for path in there), f"{cell}: no module {module}"
    packages = {p.parent.relative_to(ROOT) for room in ROOMS for p in (ROOT / room).rglob("*.py")}
    assert packages <= listed, packages - listed


def test_no_folder_holds_more_than_16_modules() -> None:
    for folder in {p.parent for room in ROOMS for p in (ROOT / room).rglob("*.py")}:
        modules = [p for p in folder.glob("*.py") if p.stem != "__init__"]
        assert len(modules) <= 16, folder


def test_every_message_type_is_tagged_with_its_name() -> None:
    assert [kind(message) for message in MESSAGE_TYPES] == [
        message.__name__ for message in MESSAGE_TYPES
    ]


@pytest.mark.parametrize("setup", sorted((ROOT / "rig" / "setups").glob("*.toml")), ids=str)
def test_every_shipped_setup_is_valid_once_its_valves_are_calibrated(setup: Path) -> None:
    shipped = resolve(setup, TASK, "test", 1, []).session
    valves = shipped.nodes["hardware"]["valve"]
    real = [name for name, table in valves.items() if not is_simulated(table["is"], name)]
    if real:
        with pytest.raises(Refused, match="never calibrated"):
            completed(shipped)
    sets = [f"nodes.hardware.valve.{name}.calibrated='2026-11-24'" for name in real]
    completed(resolve(setup, TASK, "test", 1, sets).session)


@pytest.mark.parametrize("task", sorted((ROOT / "behavior" / "tasks").glob("*.toml")), ids=str)
def test_every_shipped_task_is_valid(task: Path) -> None:
    completed(resolve(SETUP, task, "test", 1, []).session)


def test_modules_import_without_vendor_libraries() -> None:
    code = "import sys\n" + "".join(f"import {module}\n" for module in NODES)
    vendors = ("psychopy", "pyglet", "ScanImageTiffReader", "serial")
    code += f"print([v for v in {vendors} if v in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_every_module_begins_with_a_sentence() -> None:
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            doc = import_module(name.removesuffix(".__init__")).__doc__
            assert doc, name
            assert doc.split("\n")[0].endswith((".", ":")), name


def test_every_requirement_is_pinned_within_its_range() -> None:
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "requirements.txt").read_text(), re.M))
    pins = {name.lower().replace("_", "-"): Version(pin) for name, pin in pins.items()}
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config["options"]["install_requires"].split("\n")
    for extra in config["options.extras_require"].values():
        lines += extra.split("\n")
    for line in filter(None, lines):
        wanted = Requirement(line)
        assert pins[wanted.name.lower()] in wanted.specifier, line
        assert version(wanted.name) == str(pins[wanted.name.lower()]), "installed is not pinned"
