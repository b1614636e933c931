"""The TableEstimator: X, an array or a frame, becomes a table that models are trained on."""

import warnings
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import FLOAT_DTYPES, check_is_fitted, validate_data
from torch import Tensor

from elboroom.config import DataConfig
from elboroom.data import Dataset
from elboroom.data.tables import as_frame
from elboroom.errors import DataError
from elboroom.estimators.columns import Columns, Told
from elboroom.estimators.input_error import input_errors
from elboroom.imputation import Ensemble, ensemble_of, recipe, train_ensemble
from elboroom.imputation.recipe import WITHHELD


class TableEstimator(BaseEstimator):
    """An ensemble of models that is trained on X, (N, all columns), by the recipe for tables.

    Args:
        columns: the types of columns: a dict of names or places, such as {"age": "count"} or
            {3: "category"}, to the type or the table of options that `Schema.of` takes, or the path
            of its TOML file. What is not said is real in an array, and follows the rules of
            `Schema.of` in a DataFrame. "auto" is for those rules in an array too.
        effort: factor on the steps of training.
        missing_values: the entry that means missing, beside NaN, None and `pandas.NA`.
        random_state: seed of the training and of all draws.

    Attributes:
        ensemble_: the models and their weights.
        columns_: the columns, with the types that were found in `columns_.schema`.
        seed_: the seed that was drawn from `random_state`.
        n_features_in_: the number of columns.
        feature_names_in_: their names, if X had names of text.
    """

    # By which a row has the same result among any others, to ten digits.
    _precision: ClassVar = torch.float64

    def __init__(
        self,
        *,
        columns: Told = None,
        effort: float = 1.0,
        missing_values: Any = np.nan,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.columns = columns
        self.effort = effort
        self.missing_values = missing_values
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on X, (N, all columns), with N ≥ 2; y is not used.

        Raises:
            ValueError: if X cannot be used; the message names the column and the fix.
        """
        frame = self._frame(X, reset=True)
        with input_errors():
            self.columns_ = Columns.of(frame, self.columns, of_frame=is_frame(X))
            encoded = self.columns_.schema.encode(frame)
            self.seed_ = int(check_random_state(self.random_state).randint(2**31 - 1))
            self.ensemble_ = self._trained(encoded)
        return self

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _trained(self, encoded: np.ndarray) -> Ensemble:
        rows = encoded[~np.isnan(encoded).all(1)].astype(np.float32)
        options = DataConfig(withhold=WITHHELD)
        likelihoods = self.columns_.schema.likelihoods
        configs = recipe(options, len(rows), likelihoods, seed=self.seed_, effort=self.effort)
        data = Dataset.from_arrays(rows, config=options)
        with warnings.catch_warnings():
            # They tell how to train one model; here the weights leave out one that failed.
            warnings.filterwarnings("ignore", module=r"elboroom\.")
            members = train_ensemble(data, configs)
        ensemble = ensemble_of(members)
        return Ensemble(tuple(m.to(self._precision) for m in ensemble.models), ensemble.weights)

    def _frame(self, X: Any, *, reset: bool) -> pd.DataFrame:
        """Check X as scikit-learn does, and return it with NaN for `missing_values`."""
        if not reset:
            self._require_fitted()
        frame = self._checked_frame(X, reset=reset) if is_frame(X) else self._array(X, reset)
        if not pd.isna(self.missing_values):
            frame = frame.mask(frame.isin([self.missing_values]))
        return frame if reset else frame.set_axis(list(self.columns_.names), axis=1)

    def _require_fitted(self) -> None:
        check_is_fitted(self, "ensemble_")

    def _checked_frame(self, X: Any, *, reset: bool) -> pd.DataFrame:
        validate_data(self, X, reset=reset, skip_check_array=True)
        with input_errors():
            frame = as_frame(X)
            least = 2 if reset else 1
            if len(frame) < least:
                raise DataError(
                    f"found a table with {len(frame)} sample(s)",
                    why=f"a minimum of {least} is required",
                    fix="give more rows",
                )
        return frame

    def _array(self, X: Any, reset: bool) -> pd.DataFrame:
        finite: Any = "allow-nan" if pd.isna(self.missing_values) else True
        x: Any = validate_data(
            self,
            X,
            reset=reset,
            dtype=FLOAT_DTYPES,
            ensure_all_finite=finite,
            ensure_min_samples=2 if reset else 1,
        )
        return pd.DataFrame(x, columns=[str(place) for place in range(x.shape[1])])

    def _encoded(self, frame: pd.DataFrame) -> tuple[Tensor, Tensor]:
        """Return the encoded entries of a table, (N, D), and True where they are seen."""
        with input_errors():
            x = torch.tensor(self.columns_.schema.encode(frame), dtype=self._precision)
        return x, ~x.isnan()


def is_frame(X: Any) -> bool:
    """Return whether X is a frame of pandas or polars."""
    return hasattr(X, "columns") and hasattr(X, "dtypes")
