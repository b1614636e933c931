"""The columns of X: their types, and what stands in for those that no model has."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd

from elboroom.data.tables import Column, Schema
from elboroom.data.tables.encoding import cells_of
from elboroom.data.tables.frames import series_of
from elboroom.data.tables.options import given_columns
from elboroom.estimators.input_error import InputError

Told = Mapping[Any, Any] | str | PathLike[str] | None
"""Types by the name or the place of a column, "auto", the path of a TOML file, or None."""


@dataclass(frozen=True)
class Columns:
    """The columns of the X that an estimator was fitted to.

    Attributes:
        schema: their types.
        constants: the value of each column that has one alone, by its name.
        empty: the names of columns without a value.
        kept: the names of columns that the user leaves out of the model.
        with_gaps: the names of columns that had missing entries.
        types: their types in pandas.
        of_frame: True if X was a frame, and no array.
    """

    schema: Schema
    constants: dict[str, Any]
    empty: tuple[str, ...]
    kept: tuple[str, ...]
    with_gaps: tuple[str, ...]
    types: pd.Series
    of_frame: bool

    @classmethod
    def of(cls, frame: pd.DataFrame, told: Told, *, of_frame: bool) -> "Columns":
        """Find the columns of a table.

        Args:
            frame: the table.
            told: the types that the user says.
            of_frame: False for an array, whose columns are real unless the user says more.

        Raises:
            DataError: if a column cannot be used.
        """
        schema = _schema(frame, told, as_numbers=not of_frame and told != "auto")
        known = {column.name: _known(column, frame) for column in schema.columns}
        left = {c.name: known[c.name] for c in schema.columns if not c.modelled}
        return cls(
            schema=schema,
            constants={n: v.iloc[0] for n, v in left.items() if len(v) and _are_equal(v)},
            empty=tuple(name for name, values in left.items() if not len(values)),
            kept=_kept(frame, told),
            with_gaps=tuple(name for name, values in known.items() if len(values) < len(frame)),
            types=frame.dtypes,
            of_frame=of_frame,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all columns."""
        return tuple(column.name for column in self.schema.columns)

    def missing(self, frame: pd.DataFrame) -> np.ndarray:
        """Return True for the entries of a table that are missing, (N, all columns)."""
        found = [
            cells_of(c, series_of(frame, c.name)).missing
            if c.modelled
            else series_of(frame, c.name).isna()
            for c in self.schema.columns
        ]
        return np.stack(found, 1)

    def decoded(self, frame: pd.DataFrame, values: np.ndarray) -> pd.DataFrame:
        """Fill the missing entries of a table by encoded values, (N, D), and by constants."""
        found = self.schema.decode(values, frame)
        for name, constant in self.constants.items():
            found[name] = _with(constant, series_of(found, name))
        return found

    def without_entries(self, rows: int) -> pd.DataFrame:
        """Return a table of missing entries, (rows, all columns)."""
        return pd.DataFrame({name: _gaps(rows, kind) for name, kind in self.types.items()})

    def in_types(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return a table with the types of `fit`, where its columns have no gaps."""
        whole = frame.columns[frame.notna().all()]
        return frame.astype({name: self.types[name] for name in whole})

    def filled(self, frame: pd.DataFrame, values: np.ndarray) -> pd.DataFrame:
        """Fill the missing entries of a table: by encoded values, constants, and 0 if empty.

        Args:
            frame: the table, (N, all columns).
            values: (N, D).

        Raises:
            DataError: if an entry is missing that no model and no constant tells.
        """
        found = self.decoded(frame, values)
        for name in self.empty:
            if name not in self.kept:
                found[name] = _with(0, series_of(found, name))
        self._require_filled(found)
        return found

    def _require_filled(self, frame: pd.DataFrame) -> None:
        for column in self.schema.columns:
            if column.modelled or column.name in self.kept:
                continue
            if series_of(frame, column.name).isna().any():
                raise InputError(
                    f"column {column.name} has gaps that cannot be filled",
                    why=f"it is left out of the model: {column.why}",
                    fix=f'say its type, columns={{"{column.name}": "category"}}, or that it keeps '
                    f'its gaps, columns={{"{column.name}": "ignore"}}',
                )


def _schema(frame: pd.DataFrame, told: Told, *, as_numbers: bool) -> Schema:
    names = list(frame.columns)
    if isinstance(told, str | PathLike) and told != "auto":
        return _with_all(Schema.of(frame, told), names)
    said = _said(told, names)
    if not as_numbers:
        return Schema.of(frame, said)
    vary = frame.nunique() > 1
    plain = {name: "real" if vary[name] else "ignore" for name in names if name not in said}
    return _unrounded(Schema.of(frame, plain | said), plain)


def _said(told: Any, names: list[str]) -> dict[str, Any]:
    if not isinstance(told, Mapping):
        return {}
    return {_name(key, names): options for key, options in told.items()}


def _name(key: object, names: list[str]) -> str:
    """Return the name of a column that is told by its place or its name."""
    if not isinstance(key, int | np.integer):
        return str(key)
    if not -len(names) <= key < len(names):
        raise InputError(
            f"X has no column {key}, whose type is said",
            why=f"it has {len(names)} columns",
            fix=f"count from 0 to {len(names) - 1}",
        )
    return names[key]


def _unrounded(schema: Schema, plain: Mapping[str, str]) -> Schema:
    """Return a schema whose real columns are filled with any number, also among whole ones."""
    columns = (replace(c, decimals=None) if c.name in plain else c for c in schema.columns)
    return replace(schema, columns=tuple(columns))


def _with_all(schema: Schema, names: list[str]) -> Schema:
    """Return a schema in the order of a table; what it does not name is left out."""
    known = {column.name: column for column in schema.columns}
    why = "its type is not in the file"
    every = (known.get(name) or Column(name, "ignore", why=why) for name in names)
    return replace(schema, columns=tuple(every))


def _kept(frame: pd.DataFrame, told: Told) -> tuple[str, ...]:
    """Return the columns that the user leaves out in words."""
    if told is None or told == "auto":
        return ()
    said = _said(told, list(frame.columns)) if isinstance(told, Mapping) else told
    options = given_columns(said)
    return tuple(name for name, option in options.items() if option.type == "ignore")


def _known(column: Column, frame: pd.DataFrame) -> pd.Series:
    series = series_of(frame, column.name)
    return series[~cells_of(column, series).missing]


def _gaps(rows: int, kind: Any) -> pd.Series:
    """Return a column of missing entries, in the type nearest to one that has them."""
    if isinstance(kind, np.dtype) and kind.kind in "iu":
        return pd.Series(np.full(rows, np.nan))
    is_bool = isinstance(kind, np.dtype) and kind.kind == "b"
    return pd.Series([None] * rows, dtype=object if is_bool else kind)


def _are_equal(values: pd.Series) -> bool:
    return bool((values.astype(str) == str(values.iloc[0])).all())


def _with(value: Any, series: pd.Series) -> pd.Series:
    """Fill the gaps of a column by one value."""
    gaps = series.isna()
    if not gaps.any():
        return series
    if gaps.all():
        return pd.Series(value, series.index, name=series.name)
    return series.astype(object).where(~gaps, value).astype(series.dtype)
