"""The JSON schemas of setups and tasks follow the settings classes, and shipped files fit them."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

import behavior
import rig
from rig.cli.bringup.schema import as_text, schema
from rig.cli.bringup.setting_schemas import (
    SETUP_FILE,
    TASK_FILE,
    Schema,
    setup_schema,
    task_schema,
)
from rig.cli.main import app
from rig.errors import Refused

SETUPS = Path(rig.__file__).parent / "setups"
TASKS = Path(behavior.__file__).parent / "tasks"
SHIPPED = [*sorted(SETUPS.glob("*.toml")), *sorted(TASKS.glob("*.toml"))]
MADE: dict[str, Schema] = {SETUP_FILE: setup_schema(), TASK_FILE: task_schema()}


def schema_of(path: Path) -> str:
    return SETUP_FILE if path.parent == SETUPS else TASK_FILE


def mistakes(table: dict[str, Any], name: str) -> list[str]:
    found = jsonschema.Draft202012Validator(MADE[name]).iter_errors(table)
    return [f"{error.json_path}: {error.message}" for error in found]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_file_names_its_schema_and_fits_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"#:schema ./{schema_of(path)}\n")
    assert mistakes(tomllib.loads(text), schema_of(path)) == []


@pytest.mark.parametrize(("folder", "name"), [(SETUPS, SETUP_FILE), (TASKS, TASK_FILE)])
def test_the_shipped_schemas_follow_the_settings_classes(folder: Path, name: str) -> None:
    """If this fails, run: rig schema rig/setups, rig schema behavior/tasks; keep one file each."""
    jsonschema.Draft202012Validator.check_schema(MADE[name])
    assert (folder / name).read_text(encoding="utf-8") == as_text(MADE[name])


def _device(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(table: dict[str, Any]) -> None:
        table["nodes"]["hardware"]["valve"]["centre"][key] = value

    return change


@pytest.mark.parametrize(
    ("change", "at"),
    [
        (_device("ul_per_mss", 0.05), "$.nodes.hardware.valve.centre"),
        (_device("ul_per_ms", "much"), "$.nodes.hardware.valve.centre.ul_per_ms"),
        (_device("is", "a valve"), "$.nodes.hardware.valve.centre.is"),
        (lambda table: table["rig"].update(hub_port=5), "$.rig.hub_port"),
        (lambda table: table["nodes"].update(hardwear={}), "$.nodes.hardwear"),
        (lambda table: table["nodes"]["task"].update(reward_ul=3.0), "$.nodes.task"),
        (lambda table: table["nodes"]["online"].pop("run"), "$.nodes.online"),
    ],
)
def test_a_mistake_in_a_setup_is_found(change: Callable[[dict[str, Any]], None], at: str) -> None:
    table = tomllib.loads((SETUPS / "simulated.toml").read_text(encoding="utf-8"))
    change(table)
    (found,) = mistakes(table, SETUP_FILE)
    assert found.startswith(f"{at}: ")


def test_a_class_of_the_users_own_is_accepted() -> None:
    table = tomllib.loads((SETUPS / "simulated.toml").read_text(encoding="utf-8"))
    table["nodes"]["hardware"]["valve"]["centre"] = {"is": "my_lab.valves:Pump", "port": "A"}
    assert mistakes(table, SETUP_FILE) == []


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"reward_mode": "activ"}, "$.reward_mode"),
        ({"seed": 3}, "$"),
        ({"imaging": {}}, "$"),
        ({"blocks": [{"trials": 10, "cohort": "task"}]}, "$.blocks[0]"),
        ({"triggers": [{"when": "lick"}]}, "$.triggers[0]"),
    ],
)
def test_a_mistake_in_a_task_is_found(change: dict[str, Any], at: str) -> None:
    table = tomllib.loads((TASKS / "train1.toml").read_text(encoding="utf-8"))
    found = mistakes(table | change, TASK_FILE)
    assert found
    assert all(one.startswith(f"{at}: ") for one in found)


def test_keys_are_explained_by_the_docstrings_of_the_settings() -> None:
    keys = MADE[TASK_FILE]["properties"]
    assert keys["max_repeats"]["description"] == (
        "Maximum number of consecutive trials with the same stimulus."
    )
    assert keys["max_repeats"]["maximum"] == 20


def test_the_command_writes_both_files(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["schema", str(tmp_path)])
    assert done.exit_code == 0, done.output
    for name, made in MADE.items():
        assert json.loads((tmp_path / name).read_text(encoding="utf-8")) == made
    assert f"#:schema ./{SETUP_FILE}" in done.output


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"folder .*absent does not exist; create it"):
        schema(tmp_path / "absent")
