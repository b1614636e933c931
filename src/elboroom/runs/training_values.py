"""training_values.npz of a run: what the values of its training part usually are."""

import warnings
from pathlib import Path

import numpy as np

from elboroom.data import Dataset, Part
from elboroom.data.formats.array_files import load_arrays
from elboroom.data.typical_values import LEVELS, MOST_ROWS, TypicalValues
from elboroom.runs.out_file import write_arrays
from elboroom.runs.read_errors import read_errors

FILE = "training_values.npz"
_LARGEST = 0.25  # GiB


def write(run: Path, train: Part) -> None:
    """Write the usual values of a training part.

    Raises:
        DiskError: if they cannot be written.
    """
    usual = TypicalValues.of(train)
    write_arrays(run / FILE, {"quantiles": usual.quantiles, "known": usual.known})


def warn_of_other_units(run: Path, data: Dataset) -> None:
    """Warn if new data may be in other units than the training part of a run.

    A run that was made before there was such a file is not compared.

    Raises:
        RunError: if the file cannot be read, or does not fit the data.
    """
    if not (run / FILE).exists():
        return
    schema = None if data.reading is None else data.reading.schema
    columns = () if schema is None else schema.modelled
    for difference in read(run, data.event_shape).differences(data.test, columns):
        warnings.warn(
            f"{data.identity.source} may be in other units than the data that {run} was trained "
            f"on: {difference}",
            stacklevel=3,
        )


def read(run: Path, event_shape: tuple[int, ...]) -> TypicalValues:
    """Read the usual values of the training part of a run.

    Raises:
        RunError: if the file cannot be read, or does not fit events of that shape.
    """
    with read_errors(run / FILE):
        found = load_arrays(run / FILE, _LARGEST)
        quantiles, known = found["quantiles"], found["known"]
        _require(quantiles, np.float32, (len(LEVELS), event_shape[0]))
        _require(known, np.int64, (event_shape[0],))
        if not ((known >= 0) & (known <= MOST_ROWS)).all():
            raise ValueError(f"found a number of rows outside 0 to {MOST_ROWS:,}")
        return TypicalValues(quantiles, known, event_shape)


def _require(array: np.ndarray, dtype: type, shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(
            f"found {array.dtype} of shape {array.shape}; expected {dtype.__name__} of {shape}"
        )
