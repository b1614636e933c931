"""Tables from Python → a pandas DataFrame whose columns have names."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import pandas as pd

from elboroom.data.tables.column import shown
from elboroom.errors import DataError

MOST_COLUMNS = 10_000


def as_frame(table: Any) -> pd.DataFrame:
    """Return a table as a DataFrame with different names of text.

    Args:
        table: a DataFrame of pandas or polars, a dict of columns, or an array (N, D), whose
            columns are named by their numbers.

    Raises:
        DataError: if it is none of these, or two columns have one name.
    """
    frame = _frame(table)
    if isinstance(frame.columns, pd.MultiIndex):
        raise DataError(
            "a table with names of several levels cannot be used",
            why=f"found {frame.columns.nlevels} levels; expected one name for each column",
            fix='join them: frame.columns = ["_".join(map(str, name)) for name in frame.columns]',
        )
    names = [str(name) for name in frame.columns]
    require_names(names)
    return frame if list(frame.columns) == names else frame.set_axis(names, axis=1)


def require_names(names: list[str], where: str = "the table") -> None:
    """Check that columns have different names, and are not too many.

    Raises:
        DataError: if they have not, or are.
    """
    if not 0 < len(names) <= MOST_COLUMNS:
        raise DataError(
            f"{where} cannot be used as a table of columns",
            why=f"found {len(names):,} columns; expected 1 to {MOST_COLUMNS:,}",
            fix="leave some out, or save wide rows of numbers as an array: numpy.save('x.npy', x)",
        )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(
            f"{where} has two columns of one name",
            why=f"found {', '.join(map(shown, twice[:6]))} more than once",
            fix="give each column its own name",
        )


def series_of(frame: pd.DataFrame, name: str) -> pd.Series:
    """Return a column of a table whose names differ."""
    return cast(pd.Series, frame[name])


def _frame(table: Any) -> pd.DataFrame:
    if isinstance(table, pd.DataFrame):
        return table
    if type(table).__module__.partition(".")[0] == "polars" and hasattr(table, "to_pandas"):
        return pd.DataFrame(table.to_pandas())
    if isinstance(table, Mapping):
        return pd.DataFrame(dict(table))
    if isinstance(table, np.ndarray) and table.ndim == 2:
        return pd.DataFrame(table)
    raise DataError(
        f"a {type(table).__name__} cannot be used as a table",
        why="expected a DataFrame of pandas or polars, a dict of columns, or an array (N, D)",
        fix="make a DataFrame of it: pandas.DataFrame(…)",
    )
