"""Numbers that are text."""

import re
from collections.abc import Iterable
from decimal import Decimal

_PLAIN = re.compile(r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_GROUPED = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]*)?")
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
_SWAPPED = str.maketrans(".,", ",.")
_LONGEST = 400  # characters of a number
_MOST_DECIMALS = 12  # more are those of a binary fraction


def parse_number(text: str, decimal: str = ".") -> float | None:
    """Return the number that a text is, or None.

    Groups of three digits may be parted by the mark that is not `decimal`. Numbers that begin with
    needless zeros, such as 007, are codes and no numbers.
    """
    if len(text) > _LONGEST:
        return None
    text = text.replace("−", "-")
    text = text.translate(_SWAPPED) if decimal == "," else text
    if _PLAIN.fullmatch(text) or _INFINITE.fullmatch(text):
        return float(text)
    return float(text.replace(",", "")) if _GROUPED.fullmatch(text) else None


def decimal_marks(texts: Iterable[str]) -> list[str]:
    """Return the decimal marks, of "." and ",", with which all texts are numbers."""
    found = list(texts)
    return [mark for mark in ".," if all(parse_number(text, mark) is not None for text in found)]


def decimals_of(values: Iterable[object], decimal: str = ".") -> int | None:
    """Return the most decimals of some numbers; None if they are too many, or in powers of ten."""
    most = 0
    for value in values:
        found = _decimals(value, decimal)
        if found is None:
            return None
        most = max(most, found)
    return most


def _decimals(value: object, decimal: str) -> int | None:
    if isinstance(value, str):
        return None if "e" in value.lower() else len(value.partition(decimal)[2])
    if isinstance(value, float) and value == int(value):
        return 0
    exponent = Decimal(str(value)).normalize().as_tuple().exponent
    places = max(0, -exponent) if isinstance(exponent, int) else 0
    return None if places > _MOST_DECIMALS else places


def least_decimals(texts: Iterable[str], decimal: str = ".") -> int:
    """Return the fewest decimals that a number of some texts is written with."""
    return min((len(text.partition(decimal)[2]) for text in texts), default=0)


def number_text(value: float, decimals: int | None, decimal: str, least: int = 0) -> str:
    """Return a number as a column of text writes it.

    Args:
        value: the number.
        decimals: the decimals that it is rounded to; None for six digits in all.
        decimal: the mark before them.
        least: the fewest decimals that are written; zeros at the end beyond them are not.
    """
    if decimals is None:
        return f"{value:.6g}".replace(".", decimal)
    text = f"{value:.{max(decimals, least)}f}"
    while len(text.partition(".")[2]) > least and text.endswith("0"):
        text = text[:-1]
    text = text.removesuffix(".")
    text = text.removeprefix("-") if not text.strip("-0.") else text
    return text.replace(".", decimal)
