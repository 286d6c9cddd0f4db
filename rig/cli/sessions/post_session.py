"""What is asked at the terminal when an animal's session is over: its weight, condition, a note."""

import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

from rich.console import Console

from rig.cli.numbers import number_in
from rig.session.subjects import Subject, Weighing, find, record

_PLAUSIBLE = (0.5, 1.5)
"""A weight outside these shares of the baseline must be typed twice."""


def at_a_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def grams_in(text: str) -> float:
    """Return a weight as people type it: 23.8 or 23.8 g. Raises ValueError with a sentence."""
    return number_in(text.lower().strip().removesuffix("g"))


def ask(name: str, data: Path, console: Console, read: Callable[[str], str] = input) -> None:
    """Ask for an animal's weight, then its condition and a note; Enter skips each.

    Nothing is written without a weight. An animal that the record does not know is not asked for.
    """
    subject = find(data, name)
    if subject is None:
        return
    try:
        grams = _weight(subject, console, read)
        if grams is None:
            return
        condition = read("condition, e.g. bright, hunched (Enter: nothing to say): ").strip()
        note = read("note (Enter: none): ").strip()
    except EOFError:  # the terminal is gone; what was asked for can be typed later
        return
    with record(data) as open_record:
        open_record.weigh(name, Weighing(date.today().isoformat(), grams, condition, note, True))
    share = grams / subject.baseline_g
    console.print(f"written down: {name} {grams:g} g, {share:.1%} of its baseline")


def _weight(subject: Subject, console: Console, read: Callable[[str], str]) -> float | None:
    """Return the weight; None if it was skipped."""
    doubted: float | None = None
    while text := read(f"weight of {subject.name}, grams (Enter: later): ").strip():
        try:
            grams = grams_in(text)
        except ValueError as error:
            console.print(str(error), markup=False)
            continue
        if not 5.0 <= grams <= 100.0:
            console.print("a mouse weighs 5 to 100 g; type it again", markup=False)
            continue
        share = grams / subject.baseline_g
        if _PLAUSIBLE[0] <= share <= _PLAUSIBLE[1] or grams == doubted:
            return grams
        doubted = grams
        console.print(f"{grams:g} g is {share:.0%} of its baseline; type it once more if it is so")
    return None
