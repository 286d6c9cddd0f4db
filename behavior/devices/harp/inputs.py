"""What a board says of its inputs, as its devices want it: edges of a line, counts of a wheel."""

from collections import deque

_WRAP = 1 << 16
_REMEMBERED_RISES = 64


class Edges:
    """The changes of one input, for one device: each once, in order, none before its time."""

    def __init__(self) -> None:
        self.up_since: int | None = None
        """Since when (ns) the line is up, by the changes that were taken; None if it is down."""
        self.rises: deque[int] = deque(maxlen=_REMEMBERED_RISES)
        """When (ns) it last rose, whether that was taken or not."""
        self._waiting: deque[tuple[int, bool]] = deque()
        self._last = -(1 << 62)

    def put(self, t: int, up: bool) -> None:
        """Add a change; two that the board's clock cannot tell apart stay in order."""
        self._last = max(t, self._last + 1)
        self._waiting.append((self._last, up))
        if up:
            self.rises.append(self._last)

    def take(self, now: int) -> list[tuple[int, bool]]:
        """Return the changes until now (ns) that were not returned before."""
        taken = []
        while self._waiting and self._waiting[0][0] <= now:
            t, up = self._waiting.popleft()
            self.up_since = t if up else None
            taken.append((t, up))
        return taken

    def begin(self, t: int, up: bool) -> None:
        """Take the line as it is at t (ns); what was not taken until now is forgotten."""
        self._waiting.clear()
        self.up_since = t if up else None


class Inputs:
    """The input lines of a board."""

    def __init__(self) -> None:
        self.state = 0
        self._edges: dict[int, list[Edges]] = {}

    def edges(self, bit: int) -> Edges:
        """Return the changes of a line from now on, for one device."""
        made = Edges()
        self._edges.setdefault(bit, []).append(made)
        return made

    def rose(self, bit: int, after: int) -> int | None:
        """Return when (ns) a line first rose from `after` on, as its devices are told it."""
        listeners = self._edges.get(bit, [])
        return next((t for edges in listeners for t in edges.rises if t >= after), None)

    def begin(self, t: int, state: int) -> None:
        """Take the lines as they are at t (ns); what was not taken until now is forgotten."""
        self.state = state
        for bit, listeners in self._edges.items():
            for edges in listeners:
                edges.begin(t, bool(state >> bit & 1))

    def change(self, t: int, state: int) -> None:
        """Take the state of all lines after a change at t (ns)."""
        changed, self.state = self.state ^ state, state
        for bit, listeners in self._edges.items():
            if changed >> bit & 1:
                for edges in listeners:
                    edges.put(t, bool(state >> bit & 1))


class Counter:
    """A counter of 16 bits, unwrapped."""

    def __init__(self) -> None:
        self.counts = 0
        self._raw: int | None = None

    def begin(self) -> None:
        """Go on from here, wherever the counter stands next."""
        self._raw = None

    def take(self, raw: int) -> None:
        """Take where the counter stands; it turned by less than half its range since."""
        if self._raw is not None:
            step = (raw - self._raw) % _WRAP
            self.counts += step - _WRAP if step >= _WRAP // 2 else step
        self._raw = raw
