"""Write tables that scikit-learn, palmerpenguins, statsmodels and vega_datasets bring with them.

python table_data.py OUT_FOLDER

Each table is an .npz file: `x` (N, D) is complete, a level stands as its code 0 … C − 1; `names`,
`types` and `levels` (C, or 0 for numbers) have one entry for each column. Rows with a gap are left
out, so that every entry that is hidden later is known. Large tables are 2,000 rows drawn at random.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import statsmodels.api as sm
from palmerpenguins import load_penguins
from sklearn import datasets
from vega_datasets import local_data

_ROWS = 2_000
_WITH_LEVELS = ("binary", "category", "ordinal")


Kinds = dict[str, str]
Loaded = tuple[pd.DataFrame, Kinds]


def _numbers(data: pd.DataFrame) -> Loaded:
    """Type columns of numbers: `positive` if all are above zero, else `real`."""
    return data, {n: "positive" if (data[n] > 0).all() else "real" for n in data.columns}


def _diabetes() -> Loaded:
    data, kinds = _numbers(datasets.load_diabetes(as_frame=True, scaled=False).data)
    return data, kinds | {"sex": "binary"}


def _digits() -> Loaded:
    """Leave out pixels that have one value in 99 % of the pictures or more."""
    data = datasets.load_digits(as_frame=True).data
    most = {name: data[name].value_counts(normalize=True).max() for name in data}
    kept = [name for name, share in most.items() if share < 0.99]
    return data[kept], dict.fromkeys(kept, "real")


def _penguins() -> Loaded:
    kinds = {"species": "category", "island": "category", "bill_length_mm": "positive"}
    kinds |= {"bill_depth_mm": "positive", "flipper_length_mm": "positive"}
    kinds |= {"body_mass_g": "positive", "sex": "binary", "year": "ordinal"}
    return load_penguins(), kinds


def _cars() -> Loaded:
    """Leave out the name, which is almost an identifier."""
    data = local_data.cars()
    data["Year"] = data["Year"].dt.year.astype(float)
    kinds = {"Miles_per_Gallon": "positive", "Cylinders": "ordinal", "Displacement": "positive"}
    kinds |= {"Horsepower": "positive", "Weight_in_lbs": "positive", "Acceleration": "positive"}
    return data, kinds | {"Year": "real", "Origin": "category"}


def _fair() -> Loaded:
    kinds = {"rate_marriage": "ordinal", "age": "positive", "yrs_married": "positive"}
    kinds |= {"children": "real", "religious": "ordinal", "educ": "positive"}
    kinds |= {"occupation": "category", "occupation_husb": "category", "affairs": "real"}
    return sm.datasets.fair.load_pandas().data, kinds


def _randhie() -> Loaded:
    kinds = {"mdvis": "count", "lncoins": "real", "idp": "binary", "lpi": "real", "fmde": "real"}
    kinds |= {"physlm": "real", "disea": "real"}
    kinds |= dict.fromkeys(("hlthg", "hlthf", "hlthp"), "binary")
    return sm.datasets.randhie.load_pandas().data, kinds


def _anes96() -> Loaded:
    """Leave out `logpopul`, which is a function of `popul`."""
    kinds = {"popul": "real", "TVnews": "count"}
    kinds |= dict.fromkeys(("selfLR", "ClinLR", "DoleLR", "PID", "educ", "income"), "ordinal")
    return sm.datasets.anes96.load_pandas().data, kinds | {"age": "positive", "vote": "binary"}


TABLES = {
    "breast_cancer": lambda: _numbers(datasets.load_breast_cancer(as_frame=True).data),
    "wine": lambda: _numbers(datasets.load_wine(as_frame=True).data),
    "diabetes": _diabetes,
    "digits": _digits,
    "iris": lambda: _numbers(datasets.load_iris(as_frame=True).data),
    "penguins": _penguins,
    "cars": _cars,
    "fair": _fair,
    "randhie": _randhie,
    "anes96": _anes96,
}


def encoded(frame: pd.DataFrame, kinds: Kinds) -> tuple[np.ndarray, np.ndarray]:
    """Return the codes (N, D) of complete rows, and the number of levels of each column."""
    frame = frame[list(kinds)].dropna()
    if len(frame) > _ROWS:
        frame = frame.sample(_ROWS, random_state=0)
    columns, levels = [], []
    for name, kind in kinds.items():
        codes, found = pd.factorize(frame[name], sort=True)
        has_levels = kind in _WITH_LEVELS
        columns.append(np.asarray(codes if has_levels else frame[name], dtype=np.float64))
        levels.append(len(found) if has_levels else 0)
    return np.stack(columns, axis=1), np.array(levels)


def write(folder: Path) -> None:
    """Write every table."""
    folder.mkdir(parents=True, exist_ok=True)
    for table, load in TABLES.items():
        frame, kinds = load()
        x, levels = encoded(frame, kinds)
        texts = {"names": np.array(list(kinds)), "types": np.array(list(kinds.values()))}
        np.savez(folder / f"{table}.npz", x=x, levels=levels, **texts)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
