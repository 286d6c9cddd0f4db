"""Parse and evaluate rules such as `projection.medial > 0.5 for 2 frames and in texture`.

A rule is parsed here; it is never executed as Python code.

    rule       = all {"or" all}
    all        = term {"and" term}
    term       = ["not"] condition ["for" NUMBER ("frames" | "ms" | "s")]
    condition  = "(" rule ")" | "in" PLACE | FLAG | value OPERATOR value
    value      = NUMBER | TEXT in quotes | SIGNAL

"for" applies to the condition before it; brackets let it apply to more. `not` is applied after
"for". A condition with an undefined value is neither true nor false, and neither is its negation.
"""

import math
import operator
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

from analysis.triggers.signals import Kind, Moment, Value, check_place, find_signal
from rig.errors import Refused

Truth = bool | None
"""None: undefined."""
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
      | (?P<text>"[^"]*"|'[^']*')
      | (?P<name>[A-Za-z_]\w*(?:\.\w+)*)
      | (?P<operator><=|>=|==|!=|<|>)
      | (?P<bracket>[()])
    )""",
    re.VERBOSE,
)
_KEYWORDS = ("and", "or", "not", "in", "for")
_UNITS_NS = {"ms": 1e6, "s": 1e9}
_FRAME_UNITS = ("frame", "frames")
_LONGEST = 1000
"""Maximum number of characters of a rule."""
_DEEPEST = 50
"""Maximum number of brackets and "not" inside each other."""


class Condition(Protocol):
    """A part of a rule.

    Every condition is evaluated at every moment, because some count for how long they are true.
    """

    def truth(self, moment: Moment) -> Truth:
        """Return whether the condition is true at the next moment."""

    def parts(self) -> "tuple[Condition, ...]":
        """Return the conditions inside this condition."""


class Operand(NamedTuple):
    """One side of a comparison: a constant or a signal."""

    kind: Kind
    of_frames: bool
    signal: str
    """"" for a constant."""
    constant: Value = None

    def value(self, moment: Moment) -> Value:
        """Return the value at a moment; None if it is undefined."""
        return moment.values.get(self.signal) if self.signal else self.constant


class Comparison(NamedTuple):
    """A comparison of two operands."""

    left: Operand
    symbol: str
    right: Operand

    def truth(self, moment: Moment) -> Truth:
        left, right = self.left.value(moment), self.right.value(moment)
        if _is_undefined(left) or _is_undefined(right):
            return None
        return _OPERATORS[self.symbol](left, right)

    def parts(self) -> tuple[Condition, ...]:
        return ()


class Flag(NamedTuple):
    """A signal that is true or false."""

    signal: Operand

    def truth(self, moment: Moment) -> Truth:
        value = self.signal.value(moment)
        return None if value is None else bool(value)

    def parts(self) -> tuple[Condition, ...]:
        return ()


class InPlace(NamedTuple):
    """Whether the mouse is in the texture or in grey, or a picture is shown."""

    place: str

    def truth(self, moment: Moment) -> Truth:
        return moment.place == self.place

    def parts(self) -> tuple[Condition, ...]:
        return ()


class Not(NamedTuple):
    """The negation of a condition."""

    inner: Condition

    def truth(self, moment: Moment) -> Truth:
        truth = self.inner.truth(moment)
        return None if truth is None else not truth

    def parts(self) -> tuple[Condition, ...]:
        return (self.inner,)


class Junction(NamedTuple):
    """Conditions joined by "and" (decisive is False) or "or" (decisive is True)."""

    decisive: bool
    inner: tuple[Condition, ...]

    def truth(self, moment: Moment) -> Truth:
        truths = [condition.truth(moment) for condition in self.inner]
        if self.decisive in truths:
            return self.decisive
        return None if None in truths else not self.decisive

    def parts(self) -> tuple[Condition, ...]:
        return self.inner


class Held:
    """A condition that has been true for a number of consecutive frames, or for some time."""

    def __init__(self, inner: Condition, frames: int, ns: int) -> None:
        """Require `frames` consecutive frames, or `ns` of time; the other one is 0."""
        self.inner, self.frames, self._ns = inner, frames, ns
        self.reset()

    def reset(self) -> None:
        """Start to count again."""
        self._count = 0
        self._since: int | None = None

    def truth(self, moment: Moment) -> Truth:
        truth = self.inner.truth(moment)
        if not truth:
            self.reset()
            return truth
        self._count += 1
        if self._since is None:
            self._since = moment.t
        return self._count >= self.frames and moment.t - self._since >= self._ns

    def parts(self) -> tuple[Condition, ...]:
        return (self.inner,)


class Rule:
    """A parsed rule, with its state in the current trial."""

    def __init__(self, text: str) -> None:
        """Parse a rule. Raises Refused if it is not valid."""
        self._root = _Parser(text).parse()
        every = list(_walk(self._root))
        operands = [part.signal for part in every if isinstance(part, Flag)]
        pairs = [part for part in every if isinstance(part, Comparison)]
        operands += [one for pair in pairs for one in (pair.left, pair.right)]
        self.signals = {one.signal for one in operands if one.signal}
        """Names of the signals in it."""
        self.texts = {
            str(one.constant) for one in operands if one.kind == "text" and not one.signal
        }
        """The texts in it: names of stimuli."""
        self.compared = [
            (one.signal, float(other.constant))
            for pair in pairs
            for one, other in ((pair.left, pair.right), (pair.right, pair.left))
            if one.signal and isinstance(other.constant, float)
        ]
        """Each signal that is compared with a number, and the number."""
        self.of_frames = any(one.of_frames for one in operands)
        """True if the rule is evaluated at each imaging frame, False if at each wheel tick."""
        self._held = [part for part in every if isinstance(part, Held)]
        if not self.of_frames and any(part.frames for part in self._held):
            raise Refused(
                '"for ... frames" needs a signal of imaging frames; give a time in ms or s'
            )

    def reset(self) -> None:
        """Start to count again for how long conditions have been true."""
        for part in self._held:
            part.reset()

    def is_true(self, moment: Moment) -> bool:
        """Return whether the rule is true at the next moment."""
        return self._root.truth(moment) is True


def _is_undefined(value: Value) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _walk(condition: Condition) -> Iterator[Condition]:
    yield condition
    for part in condition.parts():
        yield from _walk(part)


class _Token(NamedTuple):
    kind: str
    text: str


_END = _Token("end", "the end")


class _Parser:
    """A recursive-descent parser: one method for each line of the grammar."""

    def __init__(self, text: str) -> None:
        if len(text) > _LONGEST:
            raise Refused(f"a rule may have {_LONGEST} characters at most; shorten it")
        self._tokens = list(_tokens(text))
        self._at = 0
        self._depth = 0

    def parse(self) -> Condition:
        rule = self._any()
        if self._next is not _END:
            raise Refused(f'"{self._next.text}" is not expected there; join conditions by and, or')
        return rule

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at] if self._at < len(self._tokens) else _END

    def _take(self) -> _Token:
        token = self._next
        self._at += 1
        return token

    def _takes(self, text: str) -> bool:
        """Consume the next token and return True, if it is the given keyword or bracket."""
        found = self._next.kind in ("keyword", "bracket") and self._next.text == text
        self._at += found
        return found

    def _any(self) -> Condition:
        conditions = [self._all()]
        while self._takes("or"):
            conditions.append(self._all())
        return conditions[0] if len(conditions) == 1 else Junction(True, tuple(conditions))

    def _all(self) -> Condition:
        conditions = [self._term()]
        while self._takes("and"):
            conditions.append(self._term())
        return conditions[0] if len(conditions) == 1 else Junction(False, tuple(conditions))

    def _term(self) -> Condition:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise Refused(f"a rule may nest {_DEEPEST} brackets and nots at most; simplify it")
        if self._takes("not"):
            term: Condition = Not(self._term())
        else:
            condition = self._condition()
            term = self._held(condition) if self._takes("for") else condition
        self._depth -= 1
        return term

    def _held(self, condition: Condition) -> Condition:
        count, unit = self._take(), self._take()
        number = float(count.text) if count.kind == "number" else 0.0
        if unit.text in _FRAME_UNITS and number >= 1 and number.is_integer():
            return Held(condition, int(number), 0)
        if unit.text in _UNITS_NS and number > 0:
            return Held(condition, 0, round(number * _UNITS_NS[unit.text]))
        raise Refused(
            f'after "for" comes a number and its unit, as in "for 2 frames" or "for 200 ms", not '
            f'"{count.text} {unit.text}"'
        )

    def _condition(self) -> Condition:
        if self._takes("("):
            rule = self._any()
            if not self._takes(")"):
                raise Refused(f'a bracket is not closed before "{self._next.text}"; add ")"')
            return rule
        if self._takes("in"):
            place = self._take().text
            check_place(place)
            return InPlace(place)
        left = self._operand()
        if self._next.kind == "operator":
            return _compare(left, self._take().text, self._operand())
        if left.kind != "flag":
            raise Refused(
                f'"{_label(left)}" is not compared with anything; add, for example, "> 0"'
            )
        return Flag(left)

    def _operand(self) -> Operand:
        token = self._take()
        if token.kind == "number":
            if not math.isfinite(float(token.text)):
                raise Refused(f'"{token.text}" is too large a number; write a smaller one')
            return Operand("number", False, "", float(token.text))
        if token.kind == "text":
            return Operand("text", False, "", token.text[1:-1])
        if token.kind == "name":
            kind, of_frames = find_signal(token.text)
            return Operand(kind, of_frames, token.text)
        raise Refused(f'a signal or a value is expected in place of "{token.text}"')


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    text = text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise Refused(f'"{text[at:].split()[0]}" is not a part of a rule; {_advice(text[at:])}')
        at = found.end()
        kind = str(found.lastgroup)
        token = found[kind]
        yield _Token("keyword" if token in _KEYWORDS else kind, token)


def _advice(rest: str) -> str:
    """Return a correction for the text at which parsing failed."""
    rest = rest.strip()
    if re.match(r",|\d+,\d", rest):
        return "use a decimal point, as in 0.5"
    if rest[0] == "=":
        return 'write "==" for equal'
    if rest[0] in "\"'\u201c\u201d":
        return 'put a text between two straight quotes, as in "leaf1"'
    return "use signals, numbers, texts in quotes, < <= > >= == !=, and, or, not, in, for, ( )"


def _compare(left: Operand, symbol: str, right: Operand) -> Comparison:
    """Return a comparison. Raises Refused if its values cannot be compared."""
    for one, other in ((left, right), (right, left)):
        if one.kind == "flag":
            raise Refused(f'"{one.signal}" is true or false; write it alone, or after "not"')
        if one.kind == "text" and other.kind != "text":
            raise Refused(
                f'"{_label(one)}" is a text; compare it with a text in quotes, not with a number'
            )
    if not left.signal and not right.signal:
        raise Refused(f'"{_label(left)} {symbol} {_label(right)}" compares no signal; name one')
    if left.kind == "text" and symbol not in ("==", "!="):
        raise Refused(f'texts are compared by == or !=, not by "{symbol}"')
    return Comparison(left, symbol, right)


def _label(operand: Operand) -> str:
    if operand.signal:
        return operand.signal
    return f"{operand.constant:g}" if operand.kind == "number" else str(operand.constant)
