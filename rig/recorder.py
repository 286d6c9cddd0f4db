"""Writes the wire down: every word, in hub order, and whether all of them came."""

from pathlib import Path

from rig.envelope import Envelope, Ledger, pack
from rig.log import LOG_FILE, LogWriter, Verdict
from rig.messages import Ended, Message, Start, kind
from rig.node import Node
from rig.process import RECORDER, run

_FLUSH_NS = 200_000_000


class Recorder(Node):
    """Hears everything, says nothing, leaves last."""

    name = RECORDER
    hears = (Envelope,)
    patience_s = 0.02
    may_lag_s = 10.0  # a disk that stalls delays it; what it has not written yet waits in its queue

    def open(self) -> None:
        self._log = LogWriter(Path(LOG_FILE))
        self._ledger = Ledger()
        self._flushed = 0
        self._speakers: set[str] = set()
        self._missing: list[str] = []

    def hear(self, heard: tuple[Envelope, Message]) -> None:
        envelope, word = heard
        name = kind(word)
        self._log.append(name, envelope, pack(envelope))
        if envelope.sent - self._flushed > _FLUSH_NS:
            self._log.flush()
            self._flushed = envelope.sent
        if isinstance(word, Start):
            self._speakers = set(word.session["nodes"]) - {self.name}
        if isinstance(word, Ended):
            self._compare(envelope.speaker, word)
        if gap := self._ledger.add(name, envelope):
            self._missing.append(f"{gap} {name} words of {envelope.speaker}")

    def close(self) -> None:
        self._missing += [f"the end of {speaker}" for speaker in sorted(self._speakers)]
        verdict = Verdict(not self._missing, self._log.count, ", ".join(self._missing))
        self._log.close(verdict)

    def _compare(self, speaker: str, ended: Ended) -> None:
        self._speakers.discard(speaker)
        heard = self._ledger.of(speaker)
        for name, said in ended.words.items():
            if name != "Beat" and tuple(said) != heard.get(name):
                self._missing.append(f"some {name} words of {speaker}")


if __name__ == "__main__":
    run(Recorder)
