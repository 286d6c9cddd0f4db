"""Start the processes of a session, monitor them, and end them in order."""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Literal, cast

import msgspec
from rich.console import Console
from rich.live import Live
from rich.text import Text

from rig.clock import RealClock
from rig.errors import Refused
from rig.messages import COMMON_MESSAGES, Fault, Message, OperatorRequest, Start, Stop, kind
from rig.process import RECORDER, node_class, stages
from rig.session.operator_input import OperatorInput
from rig.session.process_monitor import ProcessMonitor
from rig.session.session_folder import FolderWatch
from rig.session.status_line import StatusLine
from rig.settings.config import SessionSettings
from rig.subjects.session_water import WaterCount
from rig.transport.bus import Bus, BusError
from rig.transport.envelope import Envelope
from rig.transport.gate import Publisher

LAUNCH = "launch"
PUBLISHER = Publisher(tuple(kind(m) for m in (Start, Stop, OperatorRequest, *COMMON_MESSAGES)))
"""The message types that launch may publish."""
WAKE_S = 0.05
"""Time between two checks of keys, processes and the session folder, seconds."""
_READY_WITHIN_NS = 60_000_000_000
_SHOW_NS = 200_000_000
_END_WITHIN_NS = 2_000_000_000
"""Longest time in which a node must publish its last messages and its Ended, ns."""
_EXIT_WITHIN_S = 2.0
_REQUEST_NS = 2_000_000_000
"""Time for which an operator's request is valid, ns."""
_PAUSES_WITHIN_NS = 1_000_000_000
"""Longest time from a request to pause or resume to the first Position that shows it, ns."""
_ENDING = [getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n)]
_SUSPENDING = [getattr(signal, n) for n in ("SIGTSTP", "SIGTTOU") if hasattr(signal, n)]
"""Signals that suspend a process; they are ignored, as a suspended launch would stop the hub."""


class SessionLoop:
    """The run of one session's processes, from start to end."""

    def __init__(
        self,
        session: SessionSettings,
        clock: RealClock,
        bus: Bus,
        keys: OperatorInput,
        console: Console,
        folder_watch: FolderWatch,
        water: WaterCount,
        processes: ProcessMonitor,
    ) -> None:
        self._session, self._clock, self._bus, self._keys = session, clock, bus, keys
        self._console, self._folder_watch, self._water = console, folder_watch, water
        self._processes = processes
        self._line = StatusLine()
        self._interrupted: str | None = None
        self._failure = ""
        """The fault that ends the session, as no operator can answer; "" if there is none."""
        self._started = self._watching = False
        self._requests = 0
        self._asked: OperatorRequest | None = None
        """The last request to pause or to resume."""

    def run(self, book: Callable[[], None]) -> tuple[str, bool]:
        """Run the session to its end; return the reason of the end, and True if it is a failure.

        `book` enters the session in the water ledger, just before Start. Raises Refused if the
        session did not begin.
        """
        old = {number: signal.signal(number, self._on_signal) for number in _ENDING}
        old |= {number: signal.signal(number, signal.SIG_IGN) for number in _SUSPENDING}
        try:
            self._begin(book)
            try:
                self._bus.publish(Start(self._clock.now(), msgspec.to_builtins(self._session)))
                reason, failed = self._watch()
            except (BusError, OSError) as error:
                reason, failed = f"{LAUNCH}: {error}", True
            late = self._stop(reason)
            if not failed and (why := late or self._processes.failure()):
                reason, failed = f"{reason}; {why}", True
            return reason, failed
        finally:
            self._processes.end(_EXIT_WITHIN_S)
            traced = self._processes.sweep()
            for number, handler in old.items():
                # While a session that has begun is being ended, further signals are ignored.
                signal.signal(number, signal.SIG_IGN if self._started else handler)
            for path in traced if self._started else ():
                text = f"an error in the program; its traceback is in {path}"
                self._console.print(Text(text, "bold red"), soft_wrap=True)

    def _begin(self, book: Callable[[], None]) -> None:
        """Start the processes, and enter the session in the ledger. Raises Refused."""
        try:
            self._start_processes()
            book()
        except (Refused, BusError) as error:
            everyone = tuple(self._session.nodes)
            with suppress(BusError):  # without a hub the processes are terminated
                self._bus.publish(Stop(self._clock.now(), str(error), everyone))
            if isinstance(error, BusError):
                raise Refused(f"the session cannot begin: {error}; start it again") from error
            raise
        self._started = True

    def _start_processes(self) -> None:
        """Start the recorder, then the others; return when all are ready.

        Raises:
            Refused: The operator interrupts, or a process does not become ready.
        """
        deadline = self._clock.now() + _READY_WITHIN_NS
        self._bus.connect()
        others = [name for name in self._session.nodes if name != RECORDER]
        with self._console.status("starting") as status:
            for names in ([RECORDER], others):
                for name in names:
                    self._processes.start(name)
                while unready := self._processes.unready():
                    status.update(Text(f"waiting for {', '.join(unready)}"))
                    self._receive()
                    ended = self._processes.ended()
                    if ended is not None:
                        raise Refused(ended[0])
                    if self._interrupted is not None:
                        raise Refused(f"ended before it began: {self._interrupted}")
                    if self._clock.now() > deadline:
                        raise Refused(f"{', '.join(unready)} did not get ready within a minute")

    def _watch(self) -> tuple[str, bool]:
        """Run until the session must end; return the reason, and True if it is a failure."""
        shown, self._watching = 0, True
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            while True:
                self._receive()
                now = self._clock.now()
                if now - shown > _SHOW_NS:
                    live.update(self._line.text(now, self._keys.question), refresh=True)
                    shown = now
                for verb, text, by in self._keys.poll():
                    self._request(verb, text, by)
                if (end := self._end()) is not None:
                    self._watching = False
                    return end

    def _end(self) -> tuple[str, bool] | None:
        """Return why the session must end now, and True for a failure; None if it continues."""
        for reason in self._processes.drop():
            self._bus.publish(Fault(self._clock.now(), reason, outside=True))
        if self._interrupted is not None:
            return self._interrupted, False
        if (ended := self._processes.ended()) is not None:
            return ended
        failure = self._failure or self._folder_watch.lost() or self._processes.end_hanging()
        return (failure, True) if failure else None

    def _request(self, verb: str, text: str, by: str) -> None:
        """Publish a request of the operator, or end the session."""
        if verb == "quit":
            self._interrupted = "stopped by the operator"
            return
        now = self._clock.now()
        if verb == "pause" and self._is_paused(now):
            verb = "resume"
        if verb == "water":
            self._console.print(Text(f"manual reward requested at {now / 1e9:.1f} s"))
        if verb == "note":
            self._console.print(Text(f"note at {now / 1e9:.1f} s: {text}"))
        self._line.stopping |= verb == "stop"
        self._publish_request(verb, text or "stopped by the operator" * (verb == "stop"), by)

    def _publish_request(self, verb: str, text: str, by: str) -> None:
        self._requests += 1
        now = self._clock.now()
        known = cast(Literal["pause", "resume", "note", "stop", "water", "set"], verb)
        request = OperatorRequest(now, self._requests, now + _REQUEST_NS, known, text, by)
        self._bus.publish(request)
        if verb in ("pause", "resume"):
            self._asked = request

    def _is_paused(self, now: int) -> bool:
        """Return True if the task is paused, or will be once it receives the last request."""
        if self._asked is not None and now - self._asked.t < _PAUSES_WITHIN_NS:
            return self._asked.verb == "pause"
        return self._line.paused

    def _pause(self, fault: str) -> None:
        """Pause the session until the operator answers; without an operator it must end."""
        if not self._keys.is_there:
            self._failure = self._failure or fault
        elif not self._is_paused(self._clock.now()):
            self._publish_request("pause", fault, LAUNCH)
            text = "the session pauses: press p to resume without it, s or q to stop"
            self._console.print(Text(text, "bold yellow"))

    def _stop(self, reason: str) -> str:
        """Stop one stage of nodes after the other, the recorder last.

        Errors of the bus are ignored. Returns a sentence if a critical node had to be killed.
        """
        nodes = self._session.nodes
        kinds = {n: node_class(str(nodes[n]["run"])) for n in nodes if n != RECORDER}
        killed: list[str] = []
        for stage in [*stages(kinds), [RECORDER]]:
            with suppress(BusError, OSError):  # a node that does not receive Stop is killed below
                self._bus.publish(Stop(self._clock.now(), reason, tuple(stage)))
            killed += self._end_stage(stage)
        killed = [name for name in killed if self._processes.is_critical(name)]
        return f"{', '.join(killed)} did not end in time and was killed" if killed else ""

    def _end_stage(self, stage: list[str]) -> list[str]:
        """Wait until the nodes of a stage have ended; kill the late ones and return their names.

        A node that waits for a slow disk is not late, and the recorder has its max_lag_s.
        """
        now = self._clock.now()
        patience_ns = {
            name: max(_END_WITHIN_NS, self._processes.patience_ns(name) * (name == RECORDER))
            for name in stage
        }
        deadline = {name: now + patience_ns[name] for name in stage}
        killed: list[str] = []
        while running := self._processes.running(stage):
            try:
                self._receive()
            except (BusError, OSError):
                time.sleep(WAKE_S)
            now = self._clock.now()
            for name in running:
                if self._processes.waits_for_disk(name):
                    deadline[name] = now + patience_ns[name]
                elif now > deadline[name] and name not in killed:
                    self._processes.kill(name)
                    killed.append(name)
        return killed

    def _receive(self) -> None:
        """Handle the messages of the next 50 ms."""
        for envelope, message in self._bus.receive(self._clock.now() + int(WAKE_S * 1e9)):
            self._handle(envelope, message)

    def _handle(self, envelope: Envelope, message: Message) -> None:
        self._processes.handle(envelope, message)
        self._water.add(envelope, message)
        faults, remarks = len(self._line.faults), len(self._line.remarks)
        self._line.handle(envelope, message)
        for fault in self._line.faults[faults:] if self._started else ():
            self._console.print(Text(fault, "bold red"))
        if self._watching and isinstance(message, Fault) and message.pause:
            self._pause(f"{envelope.sender}: {message.text}")
        for remark in self._line.remarks[remarks:]:
            self._console.print(Text(remark, "yellow"))

    def _on_signal(self, number: int, at: FrameType | None) -> None:
        name = signal.Signals(number).name
        if name == "SIGHUP":  # the terminal is closed, so nothing may be printed any more
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.dup2(nowhere, sys.stderr.fileno())
        self._interrupted = "Ctrl-C" if number == signal.SIGINT else name
