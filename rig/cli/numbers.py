"""The parsers for numbers in options, arguments and prompts."""

import math
from collections.abc import Callable

import typer


def number_in(text: str) -> float:
    """Return the number in a typed text. Raises ValueError with a sentence for the user."""
    text = text.strip()
    try:
        value = float(text)
    except ValueError:
        raise ValueError(
            f'"{text}" is not a number; use a decimal point, for example 23.8'
        ) from None
    if not math.isfinite(value):
        raise ValueError(f'"{text}" is not a finite number; type digits, for example 23.8')
    return value


def number(low: float = -math.inf, high: float = math.inf) -> Callable[[str | float], float]:
    """Return a parser of numbers from `low` to `high`, for typer's Option(parser=...) and ask()."""

    def parse(text: str | float) -> float:
        try:
            value = number_in(str(text))  # a default value is a number already
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        if not low <= value <= high:
            raise typer.BadParameter(f"{value:g} is not {_range(low, high)}")
        return value

    parse.__name__ = "number"  # shown in the help
    return parse


def whole_number(low: int, high: int) -> Callable[[str | int], int]:
    """Return a parser of whole numbers from `low` to `high`, for typer's Option(parser=...)."""

    def parse(text: str | int) -> int:
        try:
            value = int(text)  # a default comes as a number
        except ValueError:
            raise typer.BadParameter(f'"{text}" is not a whole number') from None
        if not low <= value <= high:
            raise typer.BadParameter(f"{value} is not from {low} to {high}")
        return value

    parse.__name__ = "int"  # shown in the help
    return parse


def ask(question: str, low: float = -math.inf, high: float = math.inf) -> float:
    """Ask for a number at the terminal until one from `low` to `high` is typed."""
    return float(typer.prompt(question, value_proc=number(low, high)))


def _range(low: float, high: float) -> str:
    if math.isinf(high):
        return f"at least {low:g}"
    return f"from {low:g} to {high:g}"
