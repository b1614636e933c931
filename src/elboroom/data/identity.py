"""The Identity of the data, which every result carries."""

from dataclasses import dataclass
from typing import Any

from elboroom.config import ValueKind
from elboroom.errors import IncomparableError
from elboroom.html_table import Shown, Summary

WHOLE = "whole"
"""Name of the split of new data, every row of which is in the test part."""

_COMPARED = ("sha256", "binarisation", "split", "test_images", "drawn_rows")


@dataclass(frozen=True)
class Identity(Shown):
    """The properties of the data that two results must share to be compared.

    Example:
        >>> data.identity.title(200, "test", "images")
        'arrays, values as they are, stratified split, 200 test images'
        >>> fewer = Dataset.from_arrays(data.train.x).identity
        >>> fewer.source == data.identity.source, fewer.sha256 == data.identity.sha256
        (True, False)
    """

    source: str
    """Name of the data, which may be another one where they have been renamed."""
    sha256: str
    """Digest of the source's images, before any binarisation."""
    binarisation: str
    split: str
    test_images: int
    drawn_rows: str | None = None
    """Digest of the rows of each part, if any part is drawn by classes or groups."""
    values: ValueKind | None = None
    """Kind of the values that the data are read with; None if they are made binary."""
    columns: str | None = None
    """Digest of the names of the values of a row, in their order; None if they have none."""

    def to_dict(self) -> dict[str, Any]:
        """Return the properties that there are by name, as files hold them."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def _summary(self) -> Summary:
        return Summary("", self.to_dict())

    def title(self, rows: int, part: str, nouns: str, of: int | None = None) -> str:
        """Name the data, and some rows of a part, in one line.

        Args:
            rows: number of the rows.
            part: name of the part.
            nouns: the word for these rows.
            of: number of rows that the part has; by default, these are all.
        """
        split = "" if self.split == WHOLE else f"{self.split} split, "
        whole = f"all {rows:,}" if of in (None, rows) else f"{rows:,} of {of:,}"
        which = whole if part == "all" else f"{rows:,} {part}"
        return f"{self.source}, {self.reading}, {split}{which} {nouns}"

    @property
    def in_unit_interval(self) -> bool:
        """True if all values are known to lie in [0, 1]; runs of old do not state their kind."""
        return self.binarisation != "none" if self.values is None else self.values != "real"

    @property
    def is_binary(self) -> bool:
        """True if all values are known to be 0 or 1."""
        return self.binarisation != "none" or self.values == "binary"

    @property
    def reading(self) -> str:
        """Words for what was made of the values."""
        is_kept = self.binarisation == "none"
        return "values as they are" if is_kept else f"{self.binarisation} binarisation"

    def require_same(
        self,
        other: "Identity",
        *,
        what: str = "these results cannot be compared",
        fix: str = "evaluate runs that share data, binarisation and split",
    ) -> None:
        """Check that `other` is the same data, under any name.

        Raises:
            IncomparableError: if they differ; it names every field that does.
        """
        mine, theirs = ({k: vars(i)[k] for k in _COMPARED} for i in (self, other))
        unlike = [f"{k}: {mine[k]} against {theirs[k]}" for k in mine if mine[k] != theirs[k]]
        if unlike:
            raise IncomparableError(
                what, why="they are of different data (" + "; ".join(unlike) + ")", fix=fix
            )
