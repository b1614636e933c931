"""The facts of a source that a user should see before training."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from elboroom.config import PartName
from elboroom.data.column_notes import column_notes
from elboroom.data.source import Scan, Source
from elboroom.data.tables.schema import Schema


@dataclass(frozen=True)
class Reading:
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
