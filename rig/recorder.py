"""Record every message in hub order, and check that none is missing."""

from pathlib import Path

from rig.messages import Ended, Message, Start, Stop, kind
from rig.node import Node
from rig.process import RECORDER, run
from rig.transport.envelope import Envelope, SequenceTracker, pack
from rig.transport.log import LOG_FILE, Completeness, LogWriter

_FLUSH_NS = 200_000_000


class Recorder(Node):
    """The node that subscribes to everything, publishes no messages of its own, and ends last."""

    name = RECORDER
    subscribes = (Envelope,)
    max_batch_delay_s = 0.02
    max_lag_s = 10.0  # a slow disk delays the recorder; unwritten messages wait in its queue

    def open(self) -> None:
        self._log = LogWriter(Path(LOG_FILE))
        self._tracker = SequenceTracker()
        self._flushed = 0
        self._senders: set[str] = set()
        self._missing: list[str] = []
        self._stopped = False
        """True after the Stop of the recorder; no later message has to be in the log."""

    def handle(self, received: tuple[Envelope, Message]) -> None:
        envelope, message = received
        name = kind(message)
        self._log.append(name, envelope, pack(envelope))
        if envelope.sent - self._flushed > _FLUSH_NS:
            self._log.flush()
            self._flushed = envelope.sent
        if isinstance(message, Start):
            self._senders = set(message.session["nodes"]) - {self.name}
        if isinstance(message, Stop):
            self._stopped |= self.name in message.nodes
        if isinstance(message, Ended):
            self._compare(envelope.sender, message)
        if gap := self._tracker.add(name, envelope):
            self._missing.append(f"{gap} {name} messages of {envelope.sender}")

    def close(self) -> None:
        self._missing += [f"the end of {sender}" for sender in sorted(self._senders)]
        if not self._stopped:  # launch publishes no Ended; its last message is the recorder's Stop
            self._missing.append("the end of launch")
        verdict = Completeness(not self._missing, self._log.count, ", ".join(self._missing))
        self._log.close(verdict)

    def _compare(self, sender: str, ended: Ended) -> None:
        self._senders.discard(sender)
        received = self._tracker.of(sender)
        for name, counted in ended.messages.items():
            if name != "Heartbeat" and tuple(counted) != received.get(name):
                self._missing.append(f"some {name} messages of {sender}")


if __name__ == "__main__":
    run(Recorder)
