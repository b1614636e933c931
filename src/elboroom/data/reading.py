"""The facts of a source that a user should see before training."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from elboroom.config import PartName, ValueKind
from elboroom.config.kinds import VALUE_KINDS
from elboroom.data.column_notes import column_notes
from elboroom.data.source import Scan, Source
from elboroom.data.tables.schema import Schema
from elboroom.html_table import Shown, Summary


@dataclass(frozen=True, repr=False)
class Reading(Shown):
    """The facts that reading found, and how the rows were divided.

    Attributes:
        arrays: the name and the number of rows of each array or listing; a name may be empty.
        dtype: type that the values were read as.
        scan: their range and digest, and how many are missing.
        size: the number of values.
        white: the value that stands for 1.
        uses: what each array was read as, if there are several; else empty.
        notes: facts that the user should check, each a short phrase.
        chosen: how the rows of each part were chosen.
        schema: the columns of a table; None for other data.

    Example:
        >>> table = torch.randn(200, 4, generator=generator)
        >>> table[::4, 1] = torch.nan
        >>> found = Dataset.from_arrays(table).reading
        >>> found.missing_share, found.dtype, found.chosen
        (0.0625, 'float32', {'test': 'a tenth, drawn at random'})
    """

    arrays: tuple[tuple[str, int], ...]
    dtype: str
    scan: Scan
    size: int
    white: float
    uses: str
    notes: tuple[str, ...]
    chosen: Mapping[PartName, str]
    schema: Schema | None = None

    @classmethod
    def of(cls, source: Source, chosen: Mapping[PartName, str]) -> "Reading":
        """Collect the facts of a source."""
        dtypes = dict.fromkeys(str(part.images.dtype) for part in source.parts)
        return cls(
            arrays=tuple((part.origin, len(part)) for part in source.parts),
            dtype=" and ".join(dtypes),
            scan=source.scan,
            size=sum(int(np.prod(part.images.shape)) for part in source.parts),
            white=source.white,
            uses=source.uses,
            notes=(*source.notes, *column_notes(source)),
            chosen=chosen,
            schema=source.schema,
        )

    @property
    def missing_share(self) -> float:
        """The share of the values that are missing."""
        return self.scan.missing / self.size

    def values(self, binarisation: str, kind: ValueKind) -> str:
        """State type, range and missing share of the values, and what was made of them."""
        share = f"{self.missing_share:.2g}" if self.missing_share < 1e-3 else ""
        share = share or f"{100 * self.missing_share:.3g} %"
        missing = f"{share} missing" if self.scan.missing else "none missing"
        if self.schema is not None:
            return f"{missing}; each column is encoded by its type"
        return f"{self._range}, {missing}; {self._made(binarisation, kind)}"

    @property
    def _range(self) -> str:
        return f"{self.scan.low:g} to {self.scan.high:g} as {self.dtype}"

    def _made(self, binarisation: str, kind: ValueKind) -> str:
        """State what the stored values become in a batch."""
        over = "" if self.white == 1.0 else f" / {self.white:g}"
        kept = f"divided by {self.white:g}, which gives" if over else "kept as"
        ways = {
            "threshold": f"made 1 above {self.white / 2:g}, else 0",
            "dynamic": f"made 0 or 1 at random at each visit, 1 with probability x{over}",
            "static": f"made 0 or 1 at random once, 1 with probability x{over}",
            "none": f"{kept} {VALUE_KINDS[kind]}",
        }
        return ways[binarisation]

    def _summary(self) -> Summary:
        facts = {
            "arrays": ", ".join(f"{name} {rows:,}".strip() for name, rows in self.arrays),
            "values": self._range,
            "missing": f"{self.scan.missing:,}",
            **{f"{name} part": how for name, how in self.chosen.items()},
        }
        tables = [] if self.schema is None else [self.schema.table()]
        return Summary("", facts, tables, self.notes)
