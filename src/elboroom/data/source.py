"""The source: images as they were read, before they are split and made binary."""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from elboroom.data.sharded_array import Stored, stays_on_disk
from elboroom.data.sharing import errors_of_all, own_rows, sharers, spread
from elboroom.data.tables.schema import Schema

_VALUES_AT_ONCE = 1 << 22  # a few copies of these are held, in 32 or 64 bits


@dataclass(frozen=True)
class SourcePart:
    """Rows of a source that belong together, such as its own test part.

    Attributes:
        images: (N, *event), uint8 or float32; any type of number if they are mapped.
        labels: (N,) int64, positions among the classes of the source, or None.
        files: the file of each row, relative to the source; None unless rows have files.
        groups: (N,) int64, rows of one group stay in one part; None if rows are independent.
        origin: where the rows stand in the source, such as "x_test"; empty if it is one array.
        stored: the rows in the type and the layout of their file, (N, H, W) or (N, H, W, C) for
            images; None if that is `images`.
    """

    images: Stored
    labels: np.ndarray | None = None
    files: tuple[str, ...] | None = None
    groups: np.ndarray | None = None
    origin: str = ""
    stored: Stored | None = None

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Scan:
    """The facts that one pass over all values of a source finds.

    Attributes:
        sha256: digest of the values as uint8 or float32, in the order of the parts.
        low: the smallest value that is not missing.
        high: the largest one.
        missing: the number of missing values.
        shards: digest of the values of each shard, if the source has some; `sha256` is theirs.
    """

    sha256: str
    low: float
    high: float
    missing: int
    shards: tuple[str, ...] = ()

    @classmethod
    def of(cls, chunks: Iterable[np.ndarray]) -> "Scan":
        """Measure rows that come some at a time."""
        digest, missing, lows, highs = hashlib.sha256(), 0, [math.nan], [math.nan]
        for rows in map(to_bytes_or_floats, chunks):
            digest.update(np.ascontiguousarray(rows).data)
            missing += int(np.isnan(rows).sum()) if rows.dtype.kind == "f" else 0
            lows.append(float(np.fmin.reduce(rows, axis=None)))
            highs.append(float(np.fmax.reduce(rows, axis=None)))
        return cls(digest.hexdigest(), _least(lows), _most(highs), missing)

    @classmethod
    def of_shards(cls, shards: Iterable["Scan"]) -> "Scan":
        """Merge the scans of all shards, in their order."""
        found = [*shards]
        digests = tuple(shard.sha256 for shard in found)
        return cls(
            digest_of_shards(digests),
            _least([shard.low for shard in found]),
            _most([shard.high for shard in found]),
            sum(shard.missing for shard in found),
            digests,
        )

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Scan":
        """Return the scan of which `arrays` were made."""
        low, high = arrays["ends"].tolist()
        return cls(arrays["digest"].tobytes().hex(), low, high, int(arrays["missing"]))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the facts as arrays, to tell them to other ranks."""
        digest = np.frombuffer(bytes.fromhex(self.sha256), np.uint8)
        return {
            "digest": digest,
            "ends": np.array([self.low, self.high]),
            "missing": np.array(self.missing),
        }


def digest_of_shards(shards: Iterable[str]) -> str:
    """Return the SHA-256 of the digests of all shards, which is that of the data."""
    return hashlib.sha256(b"".join(map(bytes.fromhex, shards))).hexdigest()


@dataclass(frozen=True)
class Shards:
    """All rows of a source as the files that they were in.

    Attributes:
        rows: those of all parts, one after the other.
        sizes: the number of rows of each shard.
    """

    rows: Stored
    sizes: tuple[int, ...]

    def scan(self) -> Scan:
        """Pass over all values; on disk, each rank passes over its part of the shards.

        Raises:
            DataError: if a shard cannot be read by some rank.
        """
        on_disk = stays_on_disk(self.rows)
        own = sharers().part_of(len(self.sizes)) if on_disk else slice(None)
        found = list[Mapping[str, np.ndarray]]()
        with errors_of_all(on_disk=on_disk):
            for end, size in list(zip(np.cumsum(self.sizes).tolist(), self.sizes, strict=True))[
                own
            ]:
                found.append(Scan.of(in_chunks(self.rows, slice(end - size, end))).arrays())
        return Scan.of_shards(map(Scan.from_arrays, spread(found, on_disk=on_disk)))


@dataclass(frozen=True)
class Source:
    """Images as read: grey levels with `white` 255, or values with `white` 1.

    If values are missing, the images are floats in the unit of `white` 1, and NaN there.

    Attributes:
        name: the name that results give the data.
        train: the rows to train on, and to split if there are no others.
        validation: the validation part that the data came with, or None.
        test: the test part that the data came with, or None.
        classes: the name of each class, in the order of the labels; None without labels.
        white: the value that stands for 1.
        mapped: True if the images stay on disk because they are larger than the memory allowed.
        uses: what each array was read as, if there are several; else empty.
        columns: the name of each value of a row, (D,); empty if they have none.
        notes: facts found while reading that the user should check, each a short phrase.
        shards: the files that the rows were in, if they were many; else None.
        schema: the columns of which the rows are the encoded entries; None for other data.
    """

    name: str
    train: SourcePart
    validation: SourcePart | None = None
    test: SourcePart | None = None
    classes: tuple[str, ...] | None = None
    white: float = 1.0
    mapped: bool = False
    uses: str = ""
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    shards: Shards | None = None
    schema: Schema | None = None

    @property
    def parts(self) -> list[SourcePart]:
        """The parts that there are, in the order train, validation, test."""
        return [part for part in (self.train, self.validation, self.test) if part is not None]

    @property
    def has_missing(self) -> bool:
        """True if any value is missing."""
        return self.scan.missing > 0

    @property
    def sha256(self) -> str:
        """Digest of all images as uint8 or float32, in the order of the parts.

        That of shards is the digest of the digests of each.
        """
        return self.scan.sha256

    @property
    def columns_digest(self) -> str | None:
        """Digest of the names of the columns in their order; None if they have none."""
        if not self.columns:
            return None
        return hashlib.sha256("\0".join(self.columns).encode()).hexdigest()[:16]

    @cached_property
    def scan(self) -> Scan:
        """The facts that one pass over all values finds."""
        return Scan.of(self._chunks()) if self.shards is None else self.shards.scan()

    def with_origins(self) -> "Source":
        """Return the source with names for its arrays that differ, as do those of most formats.

        Rows of several arrays with the same number could be mistaken for another otherwise.
        """
        if len({part.origin for part in self.parts}) == len(self.parts):
            return self
        validation = self.validation and replace(self.validation, origin="validation")
        test = self.test and replace(self.test, origin="test")
        train = replace(self.train, origin="train")
        return replace(self, train=train, validation=validation, test=test)

    def _chunks(self) -> Iterator[np.ndarray]:
        for part in self.parts:
            yield from in_chunks(part.images)


def noun(event_shape: tuple[int, ...]) -> str:
    """Return the word for one row of the data: image for (C, H, W), else row.

    Example:
        >>> from elboroom.data import noun
        >>> noun((1, 28, 28)), noun((12,))
        ('image', 'row')
    """
    return "image" if len(event_shape) == 3 else "row"


def rows_at_once(event_shape: tuple[int, ...]) -> int:
    """Return the number of rows to process together when all of them might not fit in memory."""
    return max(1, _VALUES_AT_ONCE // math.prod(event_shape))


def in_chunks(array: Stored, rows: slice | None = None) -> Iterator[np.ndarray]:
    """Yield the rows of (N, *event) in order, some at a time; all, or those of a slice."""
    step, (start, stop, _) = (
        rows_at_once(array.shape[1:]),
        (rows or slice(None)).indices(len(array)),
    )
    for first in range(start, stop, step):
        yield array[first : min(first + step, stop)]


def in_share(array: Stored) -> Iterator[np.ndarray]:
    """Yield the rows that this rank passes over: its share of those on disk, or else all."""
    return in_chunks(array, own_rows(array))


def to_bytes_or_floats(array: np.ndarray) -> np.ndarray:
    """Return bytes and booleans as uint8, other numbers as float32."""
    kind = np.uint8 if array.dtype in (bool, np.uint8) else np.float32
    return np.asarray(array).astype(kind, copy=False)


def _least(values: list[float]) -> float:
    return float(np.fmin.reduce(values))


def _most(values: list[float]) -> float:
    return float(np.fmax.reduce(values))
