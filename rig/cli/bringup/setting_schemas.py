"""Make the JSON schemas of setups and tasks, for editors of TOML files, from settings classes."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from importlib import import_module
from itertools import pairwise
from pkgutil import iter_modules
from typing import Any, get_args, get_type_hints

import msgspec

from behavior.trials.task_settings import Block
from rig.errors import Refused
from rig.node import Node
from rig.process import node_class
from rig.settings.config import Rig

Schema = dict[str, Any]

SETUP_FILE, TASK_FILE = "setup.schema.json", "task.schema.json"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ROOMS = ("behavior", "stimuli", "acquisition", "analysis")
_DEVICE_PACKAGES = (
    "behavior.devices.simulated",
    "behavior.devices.nidaq",
    "behavior.devices.harp",
    "behavior.animals",
    "stimuli.window",
    "stimuli.sound",
)
"""Packages that contain the classes that setups name by `is`."""
_SLOTS = {
    "boards": ("Board",),
    "wheel": ("Wheel", "Ball"),
    "lick": ("Lick",),
    "valve": ("Valve",),
    "lines": ("Line", "Photodiode"),
    "outputs": ("Output",),
    "trigger_lines": ("TriggerLine",),
    "cameras": ("Camera",),
    "mouse": ("Mouse",),
    "screen": ("Screen",),
    "sound": ("Speaker",),
}
"""Keys whose tables are devices, and the end of the names of the devices' classes."""
_OWN_NODE = {"type": "object", "required": ["run"]}
"""The table of a node that the lab has written itself."""
_OF_SESSION = ("seed", "images_files", "resume")
"""Settings of a task that the program fills in; they are not in the task's file."""


def setup_schema() -> Schema:
    """Return the JSON schema of a setup: [rig], and [nodes] with every node and its devices."""
    nodes = {kind.name: kind for kind in _nodes()}
    devices = dict(_devices())
    made = _Schemas([Rig, *(kind.Settings for kind in nodes.values()), *_settings(devices)])
    _name_devices(made.definitions, {path: _device(made, path, devices[path]) for path in devices})
    tables = {name: _node_schema(made, kind) for name, kind in nodes.items()}
    top = {
        "rig": made.reference(Rig),
        "nodes": {"type": "object", "properties": tables, "additionalProperties": _OWN_NODE},
    }
    return _document("A setup: devices, screens, wiring, processes", top, made, ["rig", "nodes"])


def task_schema() -> Schema:
    """Return the JSON schema of a task: the keys of the task and of its rules."""
    task = next(kind for kind in _nodes() if kind.settings_from_task)
    made = _Schemas(
        [kind.Settings for kind in _nodes() if kind.settings_from_task or kind.task_keys]
    )
    own = made.schema(task.Settings)
    of_setup = {*Node.Settings.__struct_fields__, *_OF_SESSION, *_only_in_setups(task)}
    keys = {name: one for name, one in own["properties"].items() if name not in of_setup}
    for kind in _nodes():
        rules = made.schema(kind.Settings)["properties"] if kind.task_keys else {}
        keys |= {name: rules[name] for name in kind.task_keys}
    of_block = {name: one for name, one in keys.items() if name in Block.__struct_fields__}
    keys["blocks"] = {**keys["blocks"], "items": _closed(of_block)}
    required = [name for name in own["required"] if name in keys]
    return _document("A task: what the animal experiences", keys, made, required)


class _Schemas:
    """The schemas of settings classes, with the docstrings of their fields as descriptions."""

    def __init__(self, classes: list[type]) -> None:
        kinds = list(dict.fromkeys(one for kind in classes for one in _within(kind)))
        references, found = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
        self.definitions: dict[str, Schema] = found
        self._names = {
            kind: one["$ref"].rpartition("/")[2]
            for kind, one in zip(kinds, references, strict=True)
        }
        for kind, name in self._names.items():
            for field, text in _field_docs(kind).items():
                if field in self.definitions[name].get("properties", {}):
                    self.definitions[name]["properties"][field]["description"] = text

    def schema(self, kind: type) -> Schema:
        """Return the schema of a class."""
        return self.definitions[self._names[kind]]

    def reference(self, kind: type) -> Schema:
        """Return a reference to the schema of a class."""
        return {"$ref": f"#/$defs/{self._names[kind]}"}


def _nodes() -> Iterator[type[Node]]:
    """Yield the nodes: the recorder, and those at the roots of the rooms."""
    modules = ["rig.recorder"]
    for room in _ROOMS:
        found = iter_modules(import_module(room).__path__, f"{room}.")
        modules += [one.name for one in found if not one.ispkg]
    for name in modules:
        try:
            yield node_class(name)
        except Refused:  # a module without a node
            continue


def _devices() -> Iterator[tuple[str, type]]:
    """Yield the value of `is` and the class of each device of the program."""
    for package in _DEVICE_PACKAGES:
        for name, kind in sorted(vars(import_module(package)).items()):
            if inspect.isclass(kind) and hasattr(kind, "Settings"):
                yield f"{package}:{name}", kind


def _settings(devices: dict[str, type]) -> list[type]:
    return [getattr(kind, "Settings") for kind in devices.values()]  # noqa: B009


def _node_schema(made: _Schemas, kind: type[Node]) -> Schema:
    """Return the schema of a node's table; keys that the task sets are not required."""
    schema = made.schema(kind.Settings)
    properties = schema["properties"] | {"run": {"const": kind.__module__}}
    required = [key for key in schema["required"] if key != "imaging_folder"]
    if kind.settings_from_task or kind.task_keys:
        own = {*Node.Settings.__struct_fields__, *_only_in_setups(kind)}
        properties = {key: one for key, one in properties.items() if key in own}
        required = []
    about = {"description": schema["description"]} if "description" in schema else {}
    return about | _closed(properties, ["run", *required])


def _only_in_setups(kind: type[Node]) -> list[str]:
    """Return the keys that a node's class adds to those of the task, such as `imaging`."""
    return [] if kind.task_keys else list(vars(kind.Settings).get("__annotations__", {}))


def _device(made: _Schemas, path: str, kind: type) -> Schema:
    """Return the condition on the table of a device: this value of `is` allows these keys."""
    schema = made.schema(getattr(kind, "Settings"))  # noqa: B009
    named = {"is": {"const": path}, "board": {"type": "string"}}
    return {
        "if": {"properties": {"is": {"const": path}}, "required": ["is"]},
        "then": _closed(named | schema["properties"], ["is", *schema["required"]]),
    }


def _name_devices(definitions: dict[str, Schema], devices: dict[str, Schema]) -> None:
    """Replace each untyped table of a device by the schemas of the possible devices."""
    for schema in list(definitions.values()):
        for key, one in schema.get("properties", {}).items():
            if key not in _SLOTS:
                continue
            paths = [path for path in devices if path.endswith(_SLOTS[key])]
            table = {
                "type": "object",
                "required": ["is"],
                "properties": {"is": _one_of(paths)},
                "allOf": [devices[path] for path in paths],
            }
            if one.get("additionalProperties") == {"type": "object"}:
                one["additionalProperties"] = table
            elif one == {"type": "object"} | _kept(one) or "anyOf" in one:
                schema["properties"][key] = table | _kept(one)


def _kept(schema: Schema) -> Schema:
    return {key: schema[key] for key in ("description", "default") if key in schema}


def _one_of(paths: list[str]) -> Schema:
    """Return the schema of `is`: a device of the program, or a class that the lab has written."""
    return {"anyOf": [{"enum": paths}, {"type": "string", "pattern": r"^[\w.]+:\w+$"}]}


def _closed(properties: Schema, required: list[str] | None = None) -> Schema:
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": required} if required else {})


def _document(title: str, properties: Schema, made: _Schemas, required: list[str]) -> Schema:
    top = {"$schema": _DIALECT, "title": title, **_closed(properties, required)}
    found: Schema = _plain(top | {"$defs": _used(top, made.definitions)})
    return found


def _plain(value: Any) -> Any:
    """Return a schema as plain JSON values, with whole numbers as integers.

    Otherwise a bound could be written 0 in one run and 0.0 in the next, because Python caches one
    of several equal types.
    """
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _used(top: Schema, definitions: dict[str, Schema]) -> dict[str, Schema]:
    """Return the definitions to which a schema refers, directly or through other definitions."""
    found: dict[str, Schema] = {}
    waiting = list(_references(top))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = definitions[name]
            waiting += _references(definitions[name])
    return dict(sorted(found.items()))


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].rpartition("/")[2]
        for one in value.values():
            yield from _references(one)
    elif isinstance(value, list):
        for one in value:
            yield from _references(one)


def _within(hint: Any) -> Iterator[type]:
    """Yield the settings classes in a type, including those in the types of their fields."""
    if inspect.isclass(hint) and issubclass(hint, msgspec.Struct):
        yield hint
        for field in msgspec.structs.fields(hint):
            yield from _within(get_type_hints(hint)[field.name])
    for one in get_args(hint):
        yield from _within(one)


def _field_docs(kind: type) -> dict[str, str]:
    """Return the docstring of each field of a class and of its base classes."""
    found: dict[str, str] = {}
    for base in reversed(inspect.getmro(kind)):
        if not issubclass(base, msgspec.Struct) or base is msgspec.Struct:
            continue
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        lines = body.body if isinstance(body, ast.ClassDef) else []
        for line, after in pairwise(lines):
            if not (isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)):
                continue
            text = after.value if isinstance(after, ast.Expr) else None
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                found[line.target.id] = " ".join(text.value.split())
    return found
