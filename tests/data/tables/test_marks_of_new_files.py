"""Decimal marks of files that come after the one that the types were found of."""

import numpy as np
import pandas as pd
import pytest

from elboroom.data.tables import Schema
from elboroom.errors import DataError


def of_text(*cells: str) -> pd.DataFrame:
    return pd.DataFrame({"x": pd.Series(cells, dtype=object)})


@pytest.fixture(params=[".", ","])
def mark(request: pytest.FixtureRequest) -> str:
    return request.param


def schema(mark: str) -> Schema:
    return Schema.of(of_text(*(f"{x:.2f}".replace(".", mark) for x in np.linspace(-3, 3, 50))))


def test_numbers_with_the_other_mark_alone_are_read_and_written_with_it(mark: str) -> None:
    other = {".": ",", ",": "."}[mark]
    found, table = schema(mark), of_text(f"0{other}25", "", f"-2{other}5")
    np.testing.assert_array_equal(found.encode(table), [[0.25], [np.nan], [-2.5]])
    filled = found.decode(np.array([[0.25], [1.75], [-2.5]]), table)
    assert filled["x"].tolist() == [f"0{other}25", f"1{other}75", f"-2{other}5"]


def test_a_mark_that_may_part_thousands_is_refused_where_there_are_decimals(mark: str) -> None:
    other = {".": ",", ",": "."}[mark]
    with pytest.raises(DataError, match="may part decimals or thousands"):
        schema(mark).encode(of_text(f"1{other}823", ""))


def test_thousands_of_whole_numbers_stay_thousands() -> None:
    whole = Schema.of(of_text(*map(str, range(1_000, 90_000, 777))))
    np.testing.assert_array_equal(
        whole.encode(of_text("1,823")), [[1823 - whole.columns[0].origin]]
    )


def test_thousands_beside_decimals_stay_thousands(mark: str) -> None:
    other = {".": ",", ",": "."}[mark]
    table = of_text(f"1{other}823{mark}5", f"2{other}000")
    np.testing.assert_array_equal(schema(mark).encode(table), [[1823.5], [2000]])
