"""The values of arrays: their type, range and scale, checked before they are used."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from elboroom.config import DataConfig
from elboroom.data.sharded_array import Stored, stays_on_disk
from elboroom.data.sharing import any_rank, errors_of_all, spread
from elboroom.data.source import in_chunks, in_share
from elboroom.errors import DataError

_LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
_SMALLEST_FLOAT32 = float(np.finfo(np.float32).tiny)
_DARK = 64  # bytes below it are counts, or grey levels of another scale than 0…255
_BRIGHT = 64.0  # values from it on are of another scale than those in [0, 1]
_FEWEST_STEPS = 256  # of float32 within the spread of a column
_NOISE = 1e-12  # spread of a column, relative to its values, that float64 itself may have made
_TWELVE_BITS = 4096
_KEEPS_REALS = ("auto", "none")


@dataclass(frozen=True)
class ValueRange:
    """The smallest and the largest value of an array.

    Attributes:
        name: the array.
        dtype: its type.
        low: the smallest value that is not NaN.
        high: the largest.
    """

    name: str
    dtype: np.dtype
    low: float
    high: float

    @classmethod
    def of(cls, name: str, array: Stored) -> "ValueRange":
        """Measure an array; both ends are NaN if it has no other values.

        Ranks share one on disk.
        """
        on_disk = stays_on_disk(array)
        with errors_of_all(on_disk=on_disk):
            ends = [_ends(rows) for rows in in_share(array)]
        lows, highs = zip(*_of_all(ends, on_disk=on_disk), strict=True)
        return cls(name, array.dtype, float(np.fmin.reduce(lows)), float(np.fmax.reduce(highs)))

    @property
    def is_bytes(self) -> bool:
        """True if the values are stored as uint8 or as booleans."""
        return self.dtype in (np.uint8, np.bool_)

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g} of type {self.dtype} in {self.name}"


def white_value(source: str, images: Mapping[str, Stored], config: DataConfig) -> float:
    """Return the value that stands for 1: 255 for bytes above 1, else 1.

    Args:
        source: the file, for errors.
        images: the images or rows of each part, by the names of their arrays.
        config: its binarisation; `auto` and `none` keep values outside [0, 1]; `auto` asks for
            values whose scale is not in doubt.

    Raises:
        DataError: if the values are not finite numbers, are of two scales, lose their spread in
            float32, or are outside [0, 1] and are to be made binary.
    """
    for name, array in images.items():
        _require_numbers(source, name, array)
    ranges = [ValueRange.of(name, array) for name, array in images.items()]
    for found in ranges:
        _require_finite(source, found)
    _require_one_type(source, images, ranges)
    _require_one_scale(source, ranges, config)
    white = 255.0 if all(r.is_bytes for r in ranges) and max(r.high for r in ranges) > 1 else 1.0
    if config.binarisation in _KEEPS_REALS:
        for name, array in images.items():
            _require_spread(source, name, array)
    elif white == 1.0:
        _require_unit_interval(source, ranges, config.binarisation)
    return white


def grey_level_note(array: Stored) -> list[str]:
    """Note that images of whole numbers in 0…255 that are not bytes are read as real numbers."""
    if array.ndim < 3 or array.dtype in (np.uint8, np.bool_) or not _are_whole(array):
        return []
    found = ValueRange.of("", array)
    if found.low < 0 or not _DARK <= found.high <= 255:
        return []
    return [
        f"whole numbers up to {found.high:g} as {array.dtype} are read as real numbers; if they "
        "are grey levels, save them as uint8, for which there is a likelihood of 256 levels"
    ]


def _are_whole(array: Stored) -> bool:
    on_disk = stays_on_disk(array)
    with errors_of_all(on_disk=on_disk):
        is_whole = all((np.rint(values) == values).all() for values in in_share(array))
    return not any_rank(not is_whole, on_disk=on_disk)


def require_scale_of_pictures(
    source: str, images: Mapping[str, Stored], highest: int | None, config: DataConfig
) -> None:
    """Check that pictures use the range of their bits.

    Args:
        source: the folder, for errors.
        images: the pixels of each part by its name, uint8.
        highest: the largest value of pictures of 16 bits; None if there are none.
        config: its binarisation; `auto` asks for values whose scale is not in doubt.

    Raises:
        DataError: if they have 16 bits and use at most 12, if white is 1 in one part and more in
            another, or if they may be of another scale than 0…255.
    """
    require_used_bits(source, highest)
    ranges = [ValueRange.of(name, array) for name, array in images.items()]
    _require_one_white(source, ranges)
    high = max(int(found.high) for found in ranges)
    if config.binarisation == "auto" and 0 < high < _DARK:
        raise DataError(
            f"the scale of the pictures in {source} is in doubt",
            why=f"found values up to {high}; expected grey levels up to 255",
            fix=f"multiply them by {255 // high}, or save counts as one .npy of float32; "
            "--binarisation none takes value / 255",
        )


def require_used_bits(source: str, highest: int | None) -> None:
    """Check that pictures of 16 bits, of which the upper 8 are kept, use more than 12.

    Args:
        source: the folder, for errors.
        highest: the largest value of pictures of 16 bits; None if there are none.

    Raises:
        DataError: if they do not.
    """
    if highest is None or highest >= _TWELVE_BITS:
        return
    bits = max(1, highest.bit_length())
    raise DataError(
        f"the scale of the pictures in {source} is in doubt",
        why=f"found values up to {highest} in pictures of 16 bits, whose white is 65,535",
        fix=f"multiply them by {2 ** (16 - bits)}, so that white of {bits} bits is that of 16; "
        "or save real values as one .npy of float32",
    )


def _ends(rows: np.ndarray) -> tuple[np.number, np.number]:
    return np.fmin.reduce(rows, axis=None), np.fmax.reduce(rows, axis=None)


def _of_all(
    ends: Sequence[tuple[np.number, np.number]], *, on_disk: bool
) -> Sequence[tuple[np.number, np.number]]:
    """Return the ends that all ranks found."""
    mine = [{"ends": np.array(ends)}] if ends else []
    return [pair for rank in spread(mine, on_disk=on_disk) for pair in rank["ends"]]


def _require_numbers(source: str, name: str, array: Stored) -> None:
    if array.dtype.kind in "buif":
        return
    fix = "save numbers"
    if array.dtype.kind == "c":
        fix = "save the real and the imaginary part side by side"
    elif array.dtype.kind == "M":
        fix = "save times as numbers, such as (t - t[0]) / numpy.timedelta64(1, 's')"
    elif array.dtype.kind == "O":
        fix = f"convert it: {name}.astype('float32'), with NaN where a value is missing"
    raise _bad_values(source, f"type {array.dtype} in {name}", fix)


def _require_finite(source: str, found: ValueRange) -> None:
    if math.isnan(found.low):
        raise _bad_values(
            source, f"only NaN in {found.name}", "give some values that are not missing"
        )
    if math.inf in (found.high, -found.low):
        raise _bad_values(source, f"infinity in {found.name}", "write NaN where a value is missing")
    if max(found.high, -found.low) > _LARGEST_FLOAT32:
        raise _bad_values(
            source,
            f"{found}, which float32 cannot hold",
            "divide by a power of ten, such as 1e30",
        )


def _require_one_type(
    source: str, images: Mapping[str, Stored], ranges: Sequence[ValueRange]
) -> None:
    """Check that bytes are beside bytes alone: another type has another white, or none.

    Zeros and ones mean the same in every type.
    """
    others = [r for r in ranges if not r.is_bytes]
    if len(others) in (0, len(ranges)):
        return
    grey = [r.name for r in ranges if r.is_bytes and r.high > 1]
    if not grey and all(_is_binary(images[r.name]) for r in others):
        return
    fix = "save all parts as uint8 in 0…255, or all as floats of one scale"
    if not grey:
        fix = "give all parts values of one kind: 0 and 1 in all of them, or the same measurements"
    elif all(r.low >= 0 and r.high <= 1 for r in others):
        fix = f"divide the bytes by 255: ({grey[0]} / 255).astype('float32')"
    raise DataError(
        f"the parts of {source} differ in type",
        why="found " + "; ".join(map(str, ranges)),
        fix=fix,
    )


def _is_binary(array: Stored) -> bool:
    """Return whether all values are 0, 1 or missing."""
    return all(((x == 0) | (x == 1) | np.isnan(x)).all() for x in in_chunks(array))


def _require_one_scale(source: str, ranges: Sequence[ValueRange], config: DataConfig) -> None:
    low, high = min(r.low for r in ranges), max(r.high for r in ranges)
    if all(r.is_bytes for r in ranges):
        _require_one_white(source, ranges)
        if config.binarisation == "auto" and 1 < high < _DARK:
            raise _doubtful_bytes(source, high)
        return
    is_unit = [r.low >= 0 and r.high <= 1 for r in ranges]
    if config.binarisation == "auto" and any(is_unit) and low >= 0 and high >= _BRIGHT:
        raise _two_scales(
            source,
            ranges,
            "divide all parts by the same number, or keep them by --binarisation none",
        )


def _require_one_white(source: str, ranges: Sequence[ValueRange]) -> None:
    """Check that bytes do not have the white 1 in one part, and another white in another part."""
    if max(r.high for r in ranges) > 1 and any(r.high == 1 or r.dtype == np.bool_ for r in ranges):
        raise _two_scales(source, ranges, "save both with 255 for white")


def _two_scales(source: str, ranges: Sequence[ValueRange], fix: str) -> DataError:
    return DataError(
        f"the parts of {source} differ in scale",
        why="found " + "; ".join(map(str, ranges)),
        fix=fix,
    )


def _doubtful_bytes(source: str, high: float) -> DataError:
    return DataError(
        f"the scale of {source} is in doubt",
        why=f"found uint8 up to {high:g}; expected grey levels up to 255, or 0 and 1",
        fix=f"save counts or measurements as x.astype('float32'), grey levels up to {high:g} as "
        f"(x / {high:g}).astype('float32'); --binarisation none takes value / 255",
    )


def _require_unit_interval(source: str, ranges: Sequence[ValueRange], binarisation: str) -> None:
    low, high = min(r.low for r in ranges), max(r.high for r in ranges)
    if low >= 0 and high <= 1:
        return
    leave = f"leave out --binarisation {binarisation}, so that they are read as real values"
    is_grey = _DARK <= high <= 255
    scale = "255" if is_grey else f"the largest possible value, at least {high:g}"
    raise DataError(
        f"the values in {source} cannot be made binary by {binarisation}",
        why="found " + "; ".join(map(str, ranges)) + "; expected uint8 in 0…255, booleans, or "
        "numbers in [0, 1]",
        fix=leave if low < 0 else f"divide by {scale}, or {leave}",
    )


def _require_spread(source: str, name: str, array: Stored) -> None:
    """Check that float32 keeps the spread of each column.

    Rounding a column that varies by some units around a large offset, such as a time in seconds
    since 1970, leaves few values or one.
    """
    if not _may_lose(array.dtype):
        return
    low, high, rounding = _column_ends(array)
    spread, size = high - low, np.maximum(np.abs(low), np.abs(high))
    is_lost = (rounding * _FEWEST_STEPS > spread) & (spread > _NOISE * size)
    if not is_lost.any():
        return
    column = tuple(int(i) for i in np.argwhere(is_lost)[0])
    place = column[0] if len(column) == 1 else column
    raise DataError(
        f"float32 cannot hold the differences within column {place} of {name} in {source}",
        why=f"found {low[column]:.12g} to {high[column]:.12g}, which float32 rounds by up to "
        f"{rounding[column]:.3g}",
        fix="multiply it by a power of ten, or set such small values to 0"
        if size[column] < _SMALLEST_FLOAT32
        else "subtract an offset before saving, such as x[:, column] -= x[:, column].min()",
    )


def _may_lose(dtype: np.dtype) -> bool:
    """Return whether float32 rounds some numbers of this type."""
    return not np.can_cast(dtype, np.float32)


def _column_ends(array: Stored) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each column's smallest and largest value, and the largest error of rounding it."""
    low = np.full(array.shape[1:], np.nan)
    high, rounding = low.copy(), np.zeros(array.shape[1:])
    on_disk = stays_on_disk(array)
    with errors_of_all(on_disk=on_disk):
        for rows in in_share(array):
            values = rows.astype(np.float64)
            low, high = np.fmin(low, np.fmin.reduce(values)), np.fmax(high, np.fmax.reduce(values))
            rounding = np.fmax(rounding, np.fmax.reduce(np.abs(values - values.astype(np.float32))))
    ranks = spread([{"low": low, "high": high, "rounding": rounding}], on_disk=on_disk)
    ways = {"low": np.fmin, "high": np.fmax, "rounding": np.fmax}
    return tuple(way.reduce([rank[name] for rank in ranks]) for name, way in ways.items())


def _bad_values(source: str, found: str, fix: str) -> DataError:
    return DataError(
        f"the values in {source} cannot be used",
        why=f"found {found}; expected finite numbers, NaN where one is missing",
        fix=fix,
    )
