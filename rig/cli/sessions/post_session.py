"""After a session: print the water that is still due, and ask for weight, condition and a note."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from rig.cli.numbers import number_in
from rig.cli.record_entries import WEIGHT_G, doubtful_weight
from rig.settings.lab import read_lab
from rig.subjects.booking import water_of_day
from rig.subjects.ledger import Booking
from rig.subjects.record import Subject, Weighing, find, open_record
from rig.subjects.welfare import supplement_ml


def at_a_terminal() -> bool:
    """Return True if there is a terminal at which a person can be asked."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def grams_in(text: str) -> float:
    """Return the weight in a typed text: 23.8 or 23.8 g. Raises ValueError with a sentence."""
    return number_in(text.lower().strip().removesuffix("g"))


def water_due(data: Path, name: str, booking: Booking) -> str:
    """Return a sentence on the water given and due; "" if the animal is not in the record."""
    subject = find(data, name)
    if subject is None:
        return ""
    today = water_of_day(data, name)
    due = f"supplement due {supplement_ml(subject, today.at_least_ul):.3f} ml; "
    return (
        f"{name} was given {booking.text} in this session and {today.text} today; "
        f"{due * subject.restricted}enter its weight: "
        f"rig subject weigh {name} GRAMS --after --condition TEXT --note TEXT"
    )


def ask(name: str, data: Path, console: Console, read: Callable[[str], str] = input) -> None:
    """Ask for an animal's weight, then its condition and a note; Enter skips each.

    Nothing is entered without a weight, or for an animal that is not in the record.
    """
    subject = find(data, name)
    if subject is None:
        return
    try:
        grams = _weight(subject, console, read)
        if grams is None:
            return
        condition = read("condition, for example bright or hunched (Enter: none): ").strip()
        note = read("note (Enter: none): ").strip()
    except EOFError:  # the terminal is gone; the weight can be entered later
        return
    day = read_lab(data).day_of(time.time())
    with open_record(data) as record:
        record.weigh(name, Weighing(day.isoformat(), grams, condition, note, True))
    share = grams / subject.baseline_g
    console.print(f"entered: {name} {grams:g} g, {share:.1%} of its baseline")


def _weight(subject: Subject, console: Console, read: Callable[[str], str]) -> float | None:
    """Return the weight, g; None if it was skipped."""
    doubted: float | None = None
    while text := read(f"weight of {subject.name}, grams (Enter: later): ").strip():
        try:
            grams = grams_in(text)
        except ValueError as error:
            console.print(str(error), markup=False)
            continue
        if not WEIGHT_G[0] <= grams <= WEIGHT_G[1]:
            console.print("a mouse weighs {:g} to {:g} g; type it again".format(*WEIGHT_G))
            continue
        doubt = doubtful_weight(subject, grams)
        if not doubt or grams == doubted:
            return grams
        doubted = grams
        console.print(f"{doubt}; type it again to confirm")
    return None
