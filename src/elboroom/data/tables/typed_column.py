"""Columns of text → columns in the types of pandas that a schema gives them."""

import numpy as np
import pandas as pd

from elboroom.data.tables.column import Column
from elboroom.data.tables.encoding import TRUTH, encode_column

_EPOCH = pd.Timestamp("1970-01-01")


def typed_column(column: Column, series: pd.Series) -> pd.Series:
    """Return a column of text in the type of pandas that fits; others are returned as they are.

    Numbers become floats or nullable integers, dates times, and levels categories or booleans.

    Raises:
        DataError: if an entry is not of the column's type.
    """
    is_text = isinstance(series.dtype, pd.StringDtype) or series.dtype == np.dtype(object)
    if not column.modelled or not is_text:
        return series
    encoded = encode_column(column, series)
    values = _levels(column, encoded) if column.has_levels else _numbers(column, encoded)
    return pd.Series(values, index=series.index, name=series.name)


def _levels(column: Column, encoded: np.ndarray) -> pd.api.extensions.ExtensionArray:
    codes = np.where(np.isnan(encoded), -1, encoded).astype(int)
    found = pd.Categorical.from_codes(codes, column.levels, ordered=column.type == "ordinal")
    if {level.casefold() for level in column.levels} != TRUTH:
        return found
    truth = [level.casefold() == "true" for level in column.levels]
    return pd.array([truth[code] if code >= 0 else None for code in codes.tolist()], "boolean")


def _numbers(column: Column, encoded: np.ndarray) -> object:
    numbers = encoded + column.origin
    if column.type == "date":
        return _EPOCH + pd.to_timedelta(np.round(numbers * 86_400), "s")
    return pd.array(numbers, "Float64").astype("Int64") if column.decimals == 0 else numbers
