"""Rows of a part to show: the first of each class, others spread evenly, and pairs of them."""

from itertools import pairwise

import numpy as np

from elboroom.data import Part
from elboroom.errors import NotDrawableError, UsageError

_USUAL = (("1", "2"), ("3", "8"), ("4", "5"))  # digits that people like to see change
_MOST_PAIRS = 3
_MOST_LISTED = 20  # classes in an error

Pair = tuple[str, str]


def first_rows(part: Part) -> dict[str, int]:
    """Return the first row of each class that the part has, by the name of the class."""
    if part.labels is None:
        return {}
    labels, firsts = np.unique(part.labels.numpy(), return_index=True)
    names = [str(k) if part.classes is None else part.classes[k] for k in labels]
    return dict(zip(names, firsts.tolist(), strict=True))


def rows_of_distinct_classes(part: Part, count: int) -> list[int]:
    """Return at most `count` rows: the first of each class, then others spread evenly.

    Neighbours in a source are often alike, as frames of a film are.
    """
    firsts = first_rows(part).values()
    return list(dict.fromkeys([*firsts, *_spread(part, count)]))[:count]


def _spread(part: Part, count: int) -> list[int]:
    """Return `count` rows at equal distances, or all if there are fewer."""
    count = min(count, len(part))
    return [place * len(part) // count for place in range(count)]


def rows_of_pairs(
    part: Part, part_name: str, chosen: tuple[str, ...] | None
) -> tuple[list[int], list[Pair]]:
    """Return the rows of all starts, then those of all ends, and the names of each pair.

    Without labels, or with one class, pairs are of different rows, named by their numbers.

    Args:
        part: the part to choose rows of.
        part_name: its name in errors.
        chosen: pairs of class names with a hyphen between; None chooses by the classes there are.

    Raises:
        UsageError: if a pair is none, or names a class that the part does not have.
        NotDrawableError: if there is only one row.
    """
    rows = first_rows(part)
    if chosen is None and len(rows) < 2:
        return _pairs_of_rows(part, part_name)
    pairs = (
        _default_pairs(list(rows))
        if chosen is None
        else [_parse(pair, rows, part_name) for pair in chosen]
    )
    return [rows[pair[end]] for end in (0, 1) for pair in pairs], pairs


def _default_pairs(names: list[str]) -> list[Pair]:
    if {name for pair in _USUAL for name in pair} <= set(names):
        return [*_USUAL]
    # Neighbours share a class where there are too few for three pairs.
    enough = len(names) >= 2 * _MOST_PAIRS
    pairs = zip(names[::2], names[1::2], strict=False) if enough else pairwise(names)
    return [*pairs][:_MOST_PAIRS]


def _pairs_of_rows(part: Part, part_name: str) -> tuple[list[int], list[Pair]]:
    count = min(_MOST_PAIRS, len(part) // 2)
    if count == 0:
        raise NotDrawableError(
            "the interpolation figure needs two images",
            why=f"it goes from one image to another, and the {part_name} part has one",
            fix="draw another --part, or other figures with --only",
        )
    rows = _spread(part, 2 * count)
    numbers = [f"#{number}" for number in part.numbers[rows]]
    return rows, [*zip(numbers[:count], numbers[count:], strict=True)]


def _parse(pair: str, known: dict[str, int], part_name: str) -> Pair:
    """Split a pair at its first hyphen between two known classes, whose names may have hyphens."""
    hyphens = [i for i, character in enumerate(pair) if character == "-"]
    splits = [(pair[:i], pair[i + 1 :]) for i in hyphens if pair[:i] and pair[i + 1 :]]
    for start, end in splits:
        if start in known and end in known:
            return start, end
    names = list(known)
    listed = ", ".join(names[:_MOST_LISTED]) + (", …" if len(names) > _MOST_LISTED else "")
    classes = f"the classes are {listed}" if names else "the data have no labels"
    if not splits:
        raise UsageError(
            f"--pairs {pair} is not a pair of classes",
            why=f"a pair is written as two class names with a hyphen between; {classes}",
            fix="write it as in --pairs 1-2 cat-dog, or leave the option out",
        )
    unknown = [name for name in splits[0] if name not in known]
    raise UsageError(
        f"no {part_name} image has class {unknown[0]}",
        why=classes,
        fix="name other --pairs, or leave the option out",
    )
