import numpy as np
import pandas as pd
import pytest

from tests.support.gaussian_table import GaussianTable


@pytest.fixture(scope="package")
def gaussian() -> GaussianTable:
    return GaussianTable.of(rows=500, missing=0.2, seed=0)


@pytest.fixture(scope="package")
def frame() -> pd.DataFrame:
    """Make 60 rows of columns of each kind, a fifth of whose entries is missing."""
    random = np.random.default_rng(0)
    rows, height = 60, random.normal(size=60)
    whole = pd.DataFrame(
        {
            "age": random.integers(20, 80, rows).astype(float),
            "height": 170 + 10 * height,
            "sex": np.where(height > 0, "m", "f").astype(object),
            "blood": pd.Categorical(random.choice(["0", "A", "B"], rows)),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 99, rows), "D"),
            "visits": pd.array(random.poisson(4, rows), dtype="Int64"),
            "clinic": np.full(rows, "north", dtype=object),
        }
    )
    gaps = pd.DataFrame(random.random(whole.shape) < 0.2, columns=whole.columns)
    return whole.mask(gaps).assign(number=np.arange(rows)).set_axis([f"r{i}" for i in range(rows)])
