"""Convert a board's events to the edges of lines and the counts of a wheel."""

from collections import deque

_WRAP = 1 << 16
_REMEMBERED_RISES = 64


class Edges:
    """The changes of one input line, for one device; each change is returned once, in order."""

    def __init__(self) -> None:
        self.up_since: int | None = None
        """Time (ns) of the last rise among the changes taken so far; None if the line is down."""
        self.rises: deque[int] = deque(maxlen=_REMEMBERED_RISES)
        """Times (ns) of the last rises, including those that were not taken yet."""
        self._waiting: deque[tuple[int, bool]] = deque()
        self._last = -(1 << 62)

    def add(self, t: int, up: bool) -> None:
        """Add a change at t (ns). Changes with the same t are stored 1 ns apart, in order."""
        self._last = max(t, self._last + 1)
        self._waiting.append((self._last, up))
        if up:
            self.rises.append(self._last)

    def take(self, now: int) -> list[tuple[int, bool]]:
        """Return the changes (t, up) up to `now` (ns) that were not returned before."""
        taken = []
        while self._waiting and self._waiting[0][0] <= now:
            t, up = self._waiting.popleft()
            self.up_since = t if up else None
            taken.append((t, up))
        return taken

    def reset(self, t: int, up: bool) -> None:
        """Set the line's state at t (ns); changes not taken so far are dropped."""
        self._waiting.clear()
        self.up_since = t if up else None


class Inputs:
    """The input lines of a board."""

    def __init__(self) -> None:
        self.state = 0
        """State of all lines, line 0 in bit 0."""
        self._edges: dict[int, list[Edges]] = {}

    def edges(self, bit: int) -> Edges:
        """Return a new reader of the future changes of a line."""
        edges = Edges()
        self._edges.setdefault(bit, []).append(edges)
        return edges

    def rose(self, bit: int, after: int) -> int | None:
        """Return the time (ns) of a line's first rise at or after a time, as its devices get it."""
        listeners = self._edges.get(bit, [])
        return next((t for edges in listeners for t in edges.rises if t >= after), None)

    def reset(self, t: int, state: int) -> None:
        """Set the state of all lines at t (ns); changes not taken so far are dropped."""
        self.state = state
        for bit, listeners in self._edges.items():
            for edges in listeners:
                edges.reset(t, bool(state >> bit & 1))

    def update(self, t: int, state: int) -> None:
        """Set the state of all lines after a change at t (ns), and record the changes."""
        changed, self.state = self.state ^ state, state
        for bit, listeners in self._edges.items():
            if changed >> bit & 1:
                for edges in listeners:
                    edges.add(t, bool(state >> bit & 1))


class Counter:
    """A 16-bit counter, unwrapped."""

    def __init__(self) -> None:
        self.counts = 0
        self._raw: int | None = None

    def restart(self) -> None:
        """Keep the count; the next value of the counter is the new reference."""
        self._raw = None

    def update(self, raw: int) -> None:
        """Update with the counter's value, which may have moved by less than half its range."""
        if self._raw is not None:
            step = (raw - self._raw) % _WRAP
            self.counts += step - _WRAP if step >= _WRAP // 2 else step
        self._raw = raw
