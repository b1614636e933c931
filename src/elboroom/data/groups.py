"""Groups of rows that stay in one part, such as the pictures of one subject."""

import numpy as np

from elboroom.errors import DataError


def group_numbers(values: np.ndarray, rows: int, where: str) -> np.ndarray:
    """Number the groups of rows: rows with equal values are of one group.

    Args:
        values: (N,) or (N, 1) integers, booleans, strings or floats.
        rows: the number N of rows.
        where: the name of the values, for errors.

    Returns:
        (N,) int64, the place of each row's value among the sorted values.

    Raises:
        DataError: if there is not one value for each row.
    """
    is_usable = values.shape in ((rows,), (rows, 1)) and values.dtype.kind in "biufUS"
    if not is_usable or (values.dtype.kind == "f" and np.isnan(values).any()):
        raise DataError(
            f"the groups {where} do not fit the training rows",
            why=f"found {values.dtype} of shape {values.shape}; expected {rows:,} integers or "
            "strings, none missing",
            fix="save one value for each training row, in the order of the rows",
        )
    return np.unique(values.reshape(rows), return_inverse=True)[1].astype(np.int64)
