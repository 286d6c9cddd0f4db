"""Find a node's class for a session, create the node, and run it as a process."""

import ctypes
import errno
import inspect
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from rig.clock import RealClock
from rig.errors import Refused
from rig.messages import COMMON_MESSAGES, Message, Start, Stop, kind
from rig.node import Node, Publish, drive
from rig.priority import prioritise, stay_on_one_core
from rig.settings.config import SessionSettings, check_folder, convert, read_session
from rig.settings.device_factory import animal_devices
from rig.transport.bus import Batching, Bus, BusError
from rig.transport.envelope import Sender
from rig.transport.gate import Publisher
from rig.transport.log import Journal

RECORDER = "recorder"
_PR_SET_PDEATHSIG = 1
_TERMINATE_WITHIN_S = 5
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_TERMINATED = "terminated: the launching process is gone or has stopped waiting"


def node_class(run: str) -> type[Node]:
    """Return the Node class in a module such as "behavior.task".

    Raises:
        Refused: The module cannot be imported, or has no Node class or several.
    """
    try:
        module = import_module(run)
    except (ImportError, TypeError, ValueError) as error:  # ValueError: an empty name
        raise Refused(f'run = "{run}": {error}; name a module such as "behavior.task"') from error
    classes = [
        c
        for c in vars(module).values()
        if inspect.isclass(c) and issubclass(c, Node) and c.__module__ == run
    ]
    if len(classes) != 1:
        raise Refused(f'run = "{run}": that module has {len(classes)} nodes; it must have one')
    return classes[0]


def make(session: SessionSettings, name: str, publish: Publish) -> Node:
    """Create a node from its table in the session; open nothing.

    Raises:
        Refused: The table is not valid.
    """
    run = session.nodes[name].get("run")
    if not isinstance(run, str):
        raise Refused(f'[nodes.{name}]: `run` is missing; add run = "some.module"')
    found = node_class(run)
    if found.name != name:
        raise Refused(
            f"[nodes.{name}]: {run} is the node {found.name!r}; name the table [nodes.{found.name}]"
        )
    table = settings_table(session, found)
    if "imaging_folder" in found.Settings.__struct_fields__:
        table.setdefault("imaging_folder", session.rig.imaging_folder)
        check_folder(str(table["imaging_folder"]), f"nodes.{name}.imaging_folder")
    return found(convert(table, found.Settings, _table_name(session, found)), publish)


def settings_table(session: SessionSettings, kind: type[Node]) -> dict[str, Any]:
    """Return a node's settings: its table in the setup, and the keys of the task that it uses."""
    table, task = session.nodes[kind.name], session.task
    if kind.task_keys:
        task = {key: task[key] for key in kind.task_keys if key in task}
    elif not kind.settings_from_task:
        return {**table}
    return table | task | {"seed": session.seed}


def _table_name(session: SessionSettings, kind: type[Node]) -> str:
    """Return the name of a node's table for error messages."""
    if kind.settings_from_task or kind.task_keys:
        return f"task {session.task_name}"
    return f"[nodes.{kind.name}]"


def _is_needed(session: SessionSettings, name: str) -> bool:
    """Return False if a node only implements keys of the task, and the task sets none of them."""
    run = session.nodes[name].get("run")
    keys = node_class(run).task_keys if isinstance(run, str) else ()
    return not keys or any(session.task.get(key) for key in keys)


def _ignore(warning: str) -> None:
    """Ignore a warning: only `launch` shows warnings to a person."""


def completed(session: SessionSettings, warn: Callable[[str], None] = _ignore) -> SessionSettings:
    """Return the session with every default of every node's settings filled in.

    This creates each node, which checks all settings; nothing is opened. Nodes that the task does
    not need are left out.

    Args:
        session: The session.
        warn: Called with a sentence for each setting that is probably wrong.

    Raises:
        Refused: A setting is not valid.
    """
    nodes: dict[str, dict[str, Any]] = {}
    task: dict[str, Any] = session.task
    names = [name for name in session.nodes if _is_needed(session, name)]
    made = {name: make(session, name, _discard) for name in names}
    for name, node in made.items():
        settings = msgspec.to_builtins(node.settings)
        of_setup = Node.Settings.__struct_fields__
        if node.settings_from_task:
            task = {k: v for k, v in settings.items() if k not in (*of_setup, "seed")}
        if node.settings_from_task or node.task_keys:
            settings = {k: settings[k] for k in of_setup}
        nodes[name] = settings
    for node in made.values():
        own = msgspec.to_builtins(node.settings)
        task = task | {key: own[key] for key in node.task_keys}
    complete = msgspec.structs.replace(session, nodes=nodes, task=task)
    for node in made.values():
        node.check(task)
        node.check_session(complete)
        for warning in node.warnings():
            warn(f"{_table_name(session, type(node))}: {warning}")
    return complete


def publishers(session: SessionSettings) -> dict[str, Publisher]:
    """Return the message types that each node of a session may publish."""
    found = {}
    for name, table in session.nodes.items():
        node = node_class(str(table["run"]))
        types: tuple[type[Message], ...] = (*node.publishes, *COMMON_MESSAGES)
        found[name] = Publisher(tuple(kind(one) for one in types), int(node.max_lag_s * 1e9))
    return found


def stages(kinds: dict[str, type[Node]]) -> list[list[str]]:
    """Return the nodes in the order in which they end.

    Drivers end first; then the deciders to which other deciders subscribe, so that those receive
    their last messages; then the other deciders and the recorder.
    """
    drivers = [name for name, kind in kinds.items() if kind.period_s is not None]
    deciders = {name: kind for name, kind in kinds.items() if name not in drivers}
    received = [
        name
        for name, kind in deciders.items()
        if any(set(kind.publishes) & set(other.subscribes) for other in deciders.values())
    ]
    others = [name for name in deciders if name not in received]
    return [stage for stage in (drivers, received, others) if stage]


def _discard(message: Message) -> None:
    """Ignore the messages of a node that is created only to check its settings."""


def run(node_type: type[Node]) -> None:
    """Run a node as a process: `python -m MODULE FOLDER PARENT`, PARENT being a process id."""
    try:
        _run(node_type)
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        text = "what it publishes cannot be kept; make room on the disk"
        sys.exit(f"{node_type.name}: {error.strerror}: {text}")


def _run(node_type: type[Node]) -> None:
    """Run a node to its end. Raises OSError if its journal cannot be written."""
    folder, parent = Path(sys.argv[1]).resolve(), int(sys.argv[2])
    _die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.chdir(folder)
    session = read_session(folder)
    prioritise(bool(session.nodes[node_type.name].get("realtime", False)), node_type.rank)
    if node_type.shares_hub_core:
        stay_on_one_core()
    clock = RealClock(session.t0_ns)
    subscribes = (*node_type.subscribes, Start, Stop)
    with Journal(folder, node_type.name) as journal:
        sender = Sender(node_type.name, clock, session=session.id)
        pace = Batching(node_type.max_batch_delay_s, node_type.max_lag_s)
        pixels = node_type.reads_pixels
        try:
            bus = Bus(sender, session.rig.hub_port, subscribes, clock, journal, pace, pixels)
        except Refused as reason:
            sys.exit(f"{node_type.name}: {reason}")
        signal.signal(signal.SIGTERM, partial(_terminate, bus))
        try:
            node = make(session, node_type.name, bus.publish)
            node.check(session.task)
            node.real_animal = bool(animal_devices(session)[0])
            drive([node], bus, clock)
        except (Refused, BusError) as reason:
            sys.exit(f"{node_type.name}: {reason}")
        finally:
            bus.close()


def _terminate(bus: Bus, number: int, at: FrameType | None) -> None:
    """Interrupt the bus; if the node hangs, an alarm ends the process."""
    bus.interrupt(_TERMINATED)
    if hasattr(signal, "alarm"):
        signal.alarm(_TERMINATE_WITHIN_S)


def _die_with(parent: int) -> None:
    """Make the operating system send SIGTERM to this process when its parent dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            sys.exit("the launching process died at once")
