"""Resolve one session from three sources: the setup, the task, and the command line."""

import os
import re
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from rig.errors import Refused
from rig.settings.calibration_overlay import overlay_calibration
from rig.settings.setting_errors import wrong_setting
from rig.settings.toml import read_toml, toml_value
from rig.settings.user_files import list_user_files
from rig.transport.frame_ring import RingPlan

SETTINGS_FILE = "settings.json"
RECOVERED_FILE = "recovered.json"
"""Name of the file by which `rig recover` marks a session that did not end normally."""
FILES_FOLDER = "files"
EXPORT_FOLDER = "export"
"""Folder of the exports in a session folder; they can be recreated."""
IMAGES_FOLDER = "images_folder"
_SUBJECT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
T = TypeVar("T")


class Rig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The [rig] table of a setup: settings of the rig as a whole."""

    name: str
    hub_port: Annotated[int, msgspec.Meta(ge=1024, le=65533)] = 5571
    """Number of the session's hub; sessions that run at the same time need different numbers.

    On Linux and macOS it is only part of the names of the hub's Unix sockets. On Windows the hub
    receives messages at this TCP port and sends them at the next two, on loopback.
    """
    hub_realtime: bool = True
    """True to run the hub with real-time priority, if the system allows it."""
    disk_mb_s: Annotated[float, msgspec.Meta(ge=0.0)]
    """Write rate of a session, MB/s, from which the required disk space is computed."""
    imaging_folder: Annotated[str, msgspec.Meta(min_length=1)] = "imaging"
    """Folder in which ScanImage saves: relative to the session folder, or an absolute path."""
    ring_slots: Annotated[int, msgspec.Meta(ge=2, le=256)] = 8
    ring_slot_mb: Annotated[float, msgspec.Meta(gt=0.0, le=512.0)] = 1.0


class SessionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of a session, resolved before it begins; Start contains them."""

    subject: str
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    task_name: str
    rig: Rig
    id: str = ""
    """Unique id of the session (32 hexadecimal digits), drawn when its folder is created."""
    task: dict[str, Any]
    nodes: dict[str, dict[str, Any]]
    ring: RingPlan | None = None
    files: dict[str, str] = {}
    """SHA-256 of each file that the settings name, by its path in the session folder."""
    t0_ns: int = 0
    """The session's zero on the monotonic clock of the hub's computer, ns."""
    began: str = ""
    """Wall-clock time of the zero, ISO 8601 with zone."""
    about: dict[str, str] = {}
    """Versions of the program, its schema and packages, the commit, the CPU."""
    given_today_ul: float = 0.0
    """The water that the animal was given on that day before this session, microlitres."""
    rehearsal: bool = False
    """True if the session was run with --rehearse: its water is not real and not in the ledger."""
    override: str = ""
    """The operator's reason to run the session despite objections, and the objections."""
    setup: str = ""
    """Absolute path of the setup file."""
    continues: str = ""
    """The id of the interrupted session that this session continues; "" if there is none."""


class ResolvedSession(msgspec.Struct, frozen=True):
    """A resolved session and its files: the current path, by the path in the session folder."""

    session: SessionSettings
    files: dict[str, Path]


def resolve(setup: Path, task: Path, subject: str, seed: int, sets: list[str]) -> ResolvedSession:
    """Resolve a session from setup, task and command line.

    Args:
        setup: The setup file.
        task: The task file.
        subject: Name of the animal.
        seed: Random seed of the session.
        sets: `--set` texts.

    Raises:
        Refused: A file or a setting is not valid.
    """
    check_subject_name(subject)
    files: dict[str, Path] = {}
    setup_table = read_setup(setup)
    experienced = read_toml(task)
    if "nodes" in experienced:
        raise Refused(f"{task} is a setup, not a task; name the setup first, then the task")
    tree = {
        **_named_files(setup_table, setup, files),
        "subject": subject,
        "seed": seed,
        "task_name": task.stem,
        "setup": str(setup.resolve()),
        "task": _named_files(experienced, task, files),
    }
    for text in sets:
        _set(tree, text)
    tree = _named_files(tree, Path.cwd() / "--set", files)
    session = convert(tree, SessionSettings, str(setup))
    check_folder(session.rig.imaging_folder, "rig.imaging_folder")
    return ResolvedSession(session, files)


def check_folder(folder: str, key: str) -> None:
    """Raise Refused if a text is not the path of a folder on this operating system.

    Otherwise a new folder with the wrong name would be made, and the session would wait in it.
    """
    if folder != folder.strip():
        raise Refused(f"{key} = {folder!r}: remove the spaces around the path")
    if re.match(r"~|[A-Za-z]{2,}:/|[^%]*(\$\w|\$\{|%\w+%)", folder):
        raise Refused(
            f"{key} = {folder!r}: write the whole path, without ~, variables or URLs, as in "
            "/data/imaging"
        )
    if os.name != "posix":
        return
    if re.match(r"[A-Za-z]:([\\/]|$)|\\\\", folder):
        raise Refused(
            f"{key} = {folder!r} is a Windows path, but this computer does not run Windows; give a "
            "path on this computer, as in /data/imaging"
        )
    if "\\" in folder:
        raise Refused(f"{key} = {folder!r}: separate the folders of a path by /")


def check_subject_name(name: str) -> None:
    """Raise Refused if an animal's name cannot be part of a folder's name."""
    if not _SUBJECT_NAME.fullmatch(name):
        raise Refused(
            f"subject {name!r}: use letters, digits, _ and -, beginning with a letter or digit, as "
            "in AB_0123"
        )


def read_setup(path: Path) -> dict[str, Any]:
    """Read a setup, with its measured values. Raises Refused if the file is not a setup."""
    setup_table = read_toml(path)
    if "rig" not in setup_table or "nodes" not in setup_table:
        raise Refused(
            f"{path} is not a setup: it lacks [rig] or [nodes]; name the setup first, then the task"
        )
    return overlay_calibration(setup_table, path)


def convert(table: Any, kind: type[T], where: str) -> T:
    """Convert a table to typed settings; `where` names the table in errors.

    Raises:
        Refused: The table is not valid.
    """
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise wrong_setting(error, kind, where) from error


def read_session(folder: Path) -> SessionSettings:
    """Read the settings in a session folder. Raises Refused if it is not a session folder."""
    try:
        return msgspec.json.decode((folder / SETTINGS_FILE).read_bytes(), type=SessionSettings)
    except (OSError, msgspec.MsgspecError, ValueError) as error:
        raise Refused(f"{folder} is not a session folder ({error}); check the path") from error


def _set(tree: dict[str, Any], text: str) -> None:
    """Set one key by its dotted path; tables within a section are created if needed."""
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise Refused(f"--set {text}: write SECTION.KEY=VALUE, as in task.reward_ul=3.0")
    *tables, key = path.strip().split(".")
    if not tables and key not in tree:
        raise Refused(
            f"--set {text}: {key} is in no section; write SECTION.KEY=VALUE, as in task.{text}"
        )
    sections = 2 if tables[:1] == ["nodes"] else 1
    for depth, name in enumerate(tables):
        inner = tree.get(name) if depth < sections else tree.setdefault(name, {})
        if not isinstance(inner, dict):
            known = ", ".join(sorted(k for k, v in tree.items() if isinstance(v, dict)))
            raise Refused(f"--set {text}: there is no table {name!r}; choose one of {known}")
        tree = inner
    if (inner_name := _overridden_in(tree, key)) is not None:
        raise Refused(
            f"--set {text}: the tables of [[{inner_name}]] have their own {key}, so this would "
            "change nothing; change it in a copy of the file"
        )
    try:
        tree[key] = toml_value(value)
    except ValueError as error:
        raise Refused(f"--set {text}: {error}") from error


def _overridden_in(tree: dict[str, Any], key: str) -> str | None:
    """Return the name of a list of tables that have their own value of a key, or None."""
    for name, rows in tree.items():
        if isinstance(rows, list) and any(isinstance(row, dict) and key in row for row in rows):
            return name
    return None


def apply_sets(session: SessionSettings, sets: list[str]) -> SessionSettings:
    """Return the session with `--set` texts applied. Raises Refused if one is not valid."""
    tree = msgspec.to_builtins(session)
    for text in sets:
        _set(tree, text)
    return convert(tree, SessionSettings, "--set")


def _named_files(table: Any, source: Path, files: dict[str, Path]) -> Any:
    """Return the table with the path of each `..._file` key replaced by that in the session folder.

    For an `images_folder`, the names of the files in the folder are added as `images_files`.
    """
    if isinstance(table, list):
        return [_named_files(value, source, files) for value in table]
    if not isinstance(table, dict):
        return table
    named = {key: _named_file(key, value, source, files) for key, value in table.items()}
    folder = table.get(IMAGES_FOLDER)
    if isinstance(folder, str) and folder and not folder.startswith(f"{FILES_FOLDER}/"):
        named |= _named_images(source.parent / folder, files)
    return named


def _named_file(key: str, value: Any, source: Path, files: dict[str, Path]) -> Any:
    if not (key.endswith("_file") and isinstance(value, str) and value) or value in files:
        return _named_files(value, source, files)
    path = (source.parent / value).resolve()
    if not path.is_file():
        raise Refused(f"{key} = {value!r}: there is no file {path}; correct the path")
    if path.name.lower() == "stat.npy" and (iscell := path.with_name("iscell.npy")).is_file():
        _name(iscell, f"{FILES_FOLDER}/iscell.npy", files)  # Suite2p's selection of its masks
    return _name(path, f"{FILES_FOLDER}/{path.name}", files)


def _named_images(folder: Path, files: dict[str, Path]) -> dict[str, Any]:
    paths = [path.resolve() for path in list_user_files(folder)] if folder.is_dir() else []
    if not paths:
        raise Refused(f"{IMAGES_FOLDER}: there is no file in {folder}; correct the path")
    where = f"{FILES_FOLDER}/{folder.resolve().name}"
    for path in paths:
        _name(path, f"{where}/{path.name}", files)
    return {IMAGES_FOLDER: where, "images_files": [path.name for path in paths]}


def _name(path: Path, name: str, files: dict[str, Path]) -> str:
    if files.setdefault(name, path) != path:
        raise Refused(f"{path} and {files[name]} have the same file name; rename one of them")
    return name


def located(session: SessionSettings, folder: Path) -> SessionSettings:
    """Return the session with its `..._file` paths joined to the session folder."""
    nodes, task = _joined(session.nodes, folder), _joined(session.task, folder)
    return msgspec.structs.replace(session, nodes=nodes, task=task)


def _joined(table: Any, folder: Path) -> Any:
    if isinstance(table, list):
        return [_joined(value, folder) for value in table]
    if not isinstance(table, dict):
        return table
    joined = {key: _joined(value, folder) for key, value in table.items()}
    for key, value in table.items():
        if isinstance(value, str) and value and (key.endswith("_file") or key == IMAGES_FOLDER):
            joined[key] = str(folder / value)
    return joined
