"""The VAEImputer: the missing entries of X, filled in."""

import warnings
from importlib import import_module
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from numpy.random import RandomState
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import Tags, TransformerTags
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from elboroom.config import MethodName
from elboroom.estimators.columns import Told
from elboroom.estimators.input_error import InputError, input_errors
from elboroom.estimators.table_estimator import TableEstimator, is_frame
from elboroom.imputation import impute

_PREFIX = "missingindicator_"


class VAEImputer(OneToOneFeatureMixin, TransformerMixin, TableEstimator):
    """Fill in missing entries by p(x_missing | x_seen), with the interface of `IterativeImputer`.

    A missing number is filled in by its mean, an ordered level by its median, another one by the
    most probable. Every entry that is seen stays as it is.

    Args:
        sample_posterior: fill in a draw from p(x_missing | x_seen), those of a row together; each
            call of `transform` draws anew, for multiple imputation.
        add_indicator: append a column for each column that had gaps in `fit`, True where an
            entry is missing.
        keep_empty_features: keep columns without a value, filled with 0; else they are dropped.
        method: method of inference of z; None for draws of the models' own q(z | x), weighted
            towards the posterior.
        columns: as `TableEstimator`.
        effort: as `TableEstimator`.
        missing_values: as `TableEstimator`.
        random_state: as `TableEstimator`.

    Example:
        >>> import numpy as np
        >>> from elboroom.estimators import VAEImputer
        >>> table = np.random.default_rng(0).normal(size=(100, 3))
        >>> table[::5, 1] = np.nan
        >>> filled = VAEImputer(effort=0.01, random_state=0).fit_transform(table)  # default: 1
        >>> filled.shape, bool(np.isnan(filled).any()), np.array_equal(filled[:, 0], table[:, 0])
        ((100, 3), False, True)
    """

    _precision = torch.float32  # takes half the time; no draw is that precise

    def __init__(
        self,
        *,
        sample_posterior: bool = False,
        add_indicator: bool = False,
        keep_empty_features: bool = False,
        method: MethodName | None = None,
        columns: Told = None,
        effort: float = 1.0,
        missing_values: Any = np.nan,
        random_state: int | RandomState | None = None,
    ) -> None:
        super().__init__(
            columns=columns, effort=effort, missing_values=missing_values, random_state=random_state
        )
        self.sample_posterior = sample_posterior
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features
        self.method: MethodName | None = method

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on X, (N, all columns), with N ≥ 2; y is not used.

        Warns of columns without a value that are dropped.

        Raises:
            ValueError: if X cannot be used; the message names the column and the fix.
        """
        super().fit(X)
        self._draws = RandomState(self.seed_)
        dropped = [name for name in self.columns_.names if name not in self._kept]
        if dropped:
            warnings.warn(
                f"columns without a value are dropped: {', '.join(dropped)}; "
                "keep_empty_features=True keeps them, filled with 0",
                stacklevel=2,
            )
        return self

    def transform(self, X: Any) -> Any:
        """Fill in the missing entries of X, (N, all columns).

        Returns:
            An array of the type of X, or of a DataFrame's entries: numbers if all of its columns
            are, else objects. Under `set_output(transform="pandas")` a DataFrame is given back with
            its own types.

        Raises:
            ValueError: if X does not fit the columns of `fit`, or has a gap in a column that is
                left out of the models.
        """
        frame = self._frame(X, reset=False)
        x, seen = self._encoded(frame)
        with input_errors():
            filled = self.columns_.filled(frame, self._values(x, seen).numpy())
        filled = self._with_indicator(filled.loc[:, self._kept], frame)
        return self._output(filled, X, frame)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns that `transform` returns."""
        check_is_fitted(self)
        names = pd.Series(super().get_feature_names_out(input_features), list(self.columns_.names))
        gaps = names[self._indicated]
        return np.array([*names[self._kept], *(_PREFIX + name for name in gaps)], dtype=object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags = TransformerTags(preserves_dtype=["float64", "float32"])
        return tags

    @property
    def _kept(self) -> list[str]:
        """The names of the columns that are not dropped."""
        found = self.columns_
        dropped = {*found.empty} - {*found.kept}
        drops = dropped if not self.keep_empty_features else set[str]()
        return [name for name in found.names if name not in drops]

    @property
    def _indicated(self) -> list[str]:
        """The names of the columns that have an indicator."""
        return list(self.columns_.with_gaps) if self.add_indicator else []

    def _values(self, x: Tensor, seen: Tensor) -> Tensor:
        """Return encoded entries without gaps, (N, D)."""
        rows = (~seen).any(1)
        if not rows.any():
            return x
        seed = int(self._draws.randint(2**31 - 1)) if self.sample_posterior else self.seed_
        found = impute(self.ensemble_, x[rows], seen[rows], draws=1, seed=seed, method=self.method)
        values = found.draws[0] if self.sample_posterior else found.mean
        _require_finite(values)
        return x.index_put((rows,), values)

    def _with_indicator(self, filled: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
        """Append True where an entry of a table is missing."""
        missing = pd.DataFrame(self.columns_.missing(frame), frame.index, self.columns_.names)
        return pd.concat([filled, missing[self._indicated].add_prefix(_PREFIX)], axis=1)

    def _output(self, filled: pd.DataFrame, X: Any, frame: pd.DataFrame) -> Any:
        if not is_frame(X):
            return filled.to_numpy(frame.to_numpy().dtype)
        container = _get_output_config("transform", self)["dense"]
        if container == "default":
            return _array_of(filled)
        return filled if container == "pandas" else import_module(container).from_pandas(filled)


def _require_finite(values: Tensor) -> None:
    if not values.isfinite().all():
        raise InputError(
            "a missing entry cannot be filled",
            why="its mean under the models is not a finite number",
            fix="look for seen entries of its row that are far from those of the other rows",
        )


def _array_of(frame: pd.DataFrame) -> np.ndarray:
    """Return numbers if all columns are, else objects."""
    are_numbers = all(map(pd.api.types.is_numeric_dtype, frame.dtypes))
    return frame.to_numpy(np.float64 if are_numbers else object)
