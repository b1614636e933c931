"""The choice of rows for training, for validation and for test."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from elboroom.config import DataConfig, PartName
from elboroom.data.rows import Rows
from elboroom.data.source import Source, SourcePart
from elboroom.errors import DataError

_REFERENCE_ROWS = 10_000
_SHARE = 0.1  # of the rows, for testing, and of the others for validation
_LEAST_FOR_VALIDATION = 20  # rows or groups
_OWN = "its own"
_TEST_DRAW, _VALIDATION_DRAW = 0, 1


@dataclass(frozen=True)
class Division:
    """The rows of each part, and how they were chosen.

    Attributes:
        train: the rows to train on.
        validation: the rows to watch training by, or None.
        test: the rows to test on.
        chosen: how the rows of a part were chosen, in words.
        is_drawn: True if a part was drawn by classes or groups.
    """

    train: Rows
    validation: Rows | None
    test: Rows
    chosen: Mapping[PartName, str] = field(default_factory=dict)
    is_drawn: bool = False

    @property
    def own(self) -> list[PartName]:
        """The held-out parts that the source came with."""
        return [name for name, how in self.chosen.items() if how.startswith(_OWN)]

    @property
    def digest(self) -> str | None:
        """Digest of the rows of each part if some were drawn by classes or groups, else None."""
        if not self.is_drawn:
            return None
        found = hashlib.sha256()
        for rows in (self.train, self.validation, self.test):
            index = np.arange(0) if rows is None else rows.index
            found.update(len(index).to_bytes(8, "little") + index.astype("<i8").tobytes())
        return found.hexdigest()[:16]


def divide(source: Source, config: DataConfig) -> Division:
    """Divide the rows of a source into parts.

    The parts that the source has are taken as they are. Others are drawn from its training rows, in
    an order that depends on the number of rows alone, and so is the same for the same data.

    Args:
        source: rows of images.
        config: resolved options of the data.

    Raises:
        DataError: if there are too few rows or groups, or the options ask for a part that the
            source has already.
    """
    _require_rows(source, config)
    if config.split == "reference":
        return _reference(source, config)
    _require_no_shared_group(source)
    draw = draw_stratified if config.split == "stratified" else draw_standard
    train, chosen = Rows.of(source.train), dict[PartName, str]()
    test, chosen["test"] = None if source.test is None else Rows.of(source.test), _OWN
    if test is None:
        count = max(1, round(_SHARE * len(train)))
        train, test, words = draw(train, count, _TEST_DRAW)
        chosen["test"] = f"{_share(test, source.train)}, {words}"
    validation = None if source.validation is None else Rows.of(source.validation)
    if validation is not None:
        chosen["validation"] = _OWN
    elif count := _validation_rows(train, config):
        _require_rest(train, count)
        if config.split == "standard":
            train, validation, words = _last(train, count)
        else:
            train, validation, words = draw(train, count, _VALIDATION_DRAW)
        chosen["validation"] = words
    elif config.validation == "auto":
        chosen["test"] += "; there are too few rows for a validation part, so it also watches"
    is_drawn = config.split == "stratified" and any(how != _OWN for how in chosen.values())
    return Division(train, validation, test, chosen, is_drawn)


def _share(drawn: Rows, whole: SourcePart) -> str:
    """Return the share of the rows that were drawn, which whole groups may make larger."""
    share = len(drawn) / len(whole)
    return "a tenth" if abs(share - _SHARE) < _SHARE / 4 else f"{100 * share:.3g} % of the rows"


def _validation_rows(train: Rows, config: DataConfig) -> int:
    """Return the number of rows to take for validation; auto takes none of very few."""
    if config.validation != "auto":
        return config.validation
    groups = train.groups
    units = len(train) if groups is None else len(np.unique(groups))
    return round(_SHARE * len(train)) if units >= _LEAST_FOR_VALIDATION else 0


def draw_standard(rows: Rows, count: int, draw: int) -> tuple[Rows, Rows, str]:
    """Draw `count` rows in an order that depends only on the number of rows.

    Returns:
        The other rows, the drawn rows, and how they were drawn.
    """
    keys = np.random.PCG64(len(rows)).random_raw(len(rows))
    order = np.argsort(keys, kind="stable")
    return rows[np.sort(order[count:])], rows[np.sort(order[:count])], "drawn at random"


def draw_stratified(rows: Rows, count: int, draw: int) -> tuple[Rows, Rows, str]:
    """Draw `count` rows of which each class has its share, or as many rows in whole groups.

    The rows are sorted by class and, within a class, by random keys. From a random start every
    N/`count`-th is taken (systematic sampling; Cochran, *Sampling Techniques* (1977), chapter 8):
    each row is as probable as another, and each class gets its share rounded down or up.
    Groups are drawn in the same way; the class of a group is that of its first row.

    Args:
        rows: the rows to draw from.
        count: the number of rows to draw, at least 1 and less than all.
        draw: number of the draw, so that several draws of as many rows are independent.

    Returns:
        The other rows, the drawn rows, and how they were drawn.

    Raises:
        DataError: if all rows are of one group.
    """
    groups = np.arange(len(rows)) if rows.groups is None else rows.groups
    names, first, unit = np.unique(groups, return_index=True, return_inverse=True)
    classes = np.zeros(len(names)) if rows.labels is None else rows.labels[first]
    share = count / len(rows)
    taken = _systematic(classes, _some(len(names), share), draw)
    drawn = np.isin(unit, taken)
    return rows[np.flatnonzero(~drawn)], rows[np.flatnonzero(drawn)], _words(rows)


def _some(units: int, share: float) -> int:
    """Return the number of units that is nearest to a share of them: neither none nor all."""
    if units < 2:
        raise DataError(
            "one group cannot be split",
            why="--group-by keeps all rows of a group together, and all rows have the same value",
            fix="name an array whose values differ, or leave out --group-by",
        )
    return min(max(1, round(units * share)), units - 1)


def _systematic(classes: np.ndarray, count: int, draw: int) -> np.ndarray:
    """Choose `count` of the units whose classes are given, (U,)."""
    bits = np.random.PCG64([len(classes), draw]).random_raw(len(classes) + 1)
    order = np.lexsort((bits[1:], classes))
    start = (int(bits[0]) >> 48) / 2**16
    places = (np.arange(count) + start) * len(classes) / count
    return order[places.astype(np.int64)]


def _words(rows: Rows) -> str:
    groups = "" if rows.groups is None else ", whole groups"
    classes = "" if rows.labels is None else ", with the shares of the classes"
    return f"drawn at random{groups}{classes}"


def _last(rows: Rows, count: int) -> tuple[Rows, Rows, str]:
    return rows[: len(rows) - count], rows[len(rows) - count :], "the last rows"


def _reference(source: Source, config: DataConfig) -> Division:
    rows = Rows.of(source.train)
    if len(rows) < 2 * _REFERENCE_ROWS:
        raise DataError(
            "this data is too small for the reference split",
            why=f"found {len(rows):,} training rows; the split needs {2 * _REFERENCE_ROWS:,}",
            fix="use --split auto",
        )
    train, test = rows[:_REFERENCE_ROWS], rows[_REFERENCE_ROWS : 2 * _REFERENCE_ROWS]
    unused = len(rows) - 2 * _REFERENCE_ROWS + sum(map(len, source.parts[1:]))
    chosen: dict[PartName, str] = {
        "train": f"the first 10,000 rows; {unused:,} others are not used",
        "test": "the second 10,000 rows",
    }
    validation = _validation_rows(train, config)
    if not validation:
        return Division(train, None, test, chosen)
    _require_rest(train, validation)
    train, held_out, chosen["validation"] = _last(train, validation)
    return Division(train, held_out, test, chosen)


def _require_rows(source: Source, config: DataConfig) -> None:
    """Check that there are rows to split, and that the options fit the parts of the source."""
    if config.split != "reference" and source.test is None and len(source.train) < 2:
        raise DataError(
            "one row cannot be split",
            why="training and test need at least one row each",
            fix="give more rows",
        )
    asked = config.validation not in (0, "auto") and config.split != "reference"
    if source.validation is not None and asked:
        raise DataError(
            f"--validation {config.validation} asks for a second validation part",
            why=f"{source.name} has one of its own, of {len(source.validation):,} rows",
            fix="leave out --validation, or save the data without their validation part",
        )
    if source.train.groups is not None and config.split != "stratified":
        raise DataError(
            f"--group-by cannot be used with --split {config.split}",
            why="that split takes rows as they are, whatever their groups",
            fix="use --split stratified, or leave out --group-by",
        )


def _require_rest(train: Rows, count: int) -> None:
    if count >= len(train):
        raise DataError(
            f"--validation {count} leaves nothing to train on",
            why=f"the training part has {len(train):,} rows",
            fix=f"take fewer than {len(train):,}",
        )


def _require_no_shared_group(source: Source) -> None:
    """Check that no group is in two parts of the source."""
    seen = set[int]()
    for part in source.parts:
        groups = set() if part.groups is None else set(np.unique(part.groups).tolist())
        if seen & groups:
            raise DataError(
                "--group-by names groups that are in two parts of the data",
                why=f"{len(seen & groups):,} groups have rows in several of its own parts",
                fix="save all rows as one array, so that whole groups are drawn from it, or leave "
                "out --group-by",
            )
        seen |= groups
