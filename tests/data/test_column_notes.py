"""Values that stand for missing ones, such as −999."""

from collections.abc import Iterator

import numpy as np
import pytest

from elboroom import Dataset
from elboroom.data.column_notes import column_notes
from elboroom.data.source import Source, SourcePart, in_share


def table(rows: int = 300) -> np.ndarray:
    r = np.random.default_rng(0)
    return (r.normal(size=(rows, 4)) * [1, 10, 0.1, 5] + [0, 50, 3, -20]).astype("f4")


def notes(x: np.ndarray) -> list[str]:
    return column_notes(Source("t", SourcePart(x)))


@pytest.mark.parametrize("value", [-999.0, 9_999.0, 1e6])
def test_a_repeated_value_far_from_the_others_is_named(value: float):
    x = table()
    x[::10, 1] = value
    x[::10, 3] = value
    assert notes(x) == [
        f"{value:g} stands in 10 % of column 1 and 1 others, far from the other values: if it "
        "means missing, save NaN in its place"
    ]
    data = Dataset.from_arrays(x)
    assert data.reading is not None
    assert any(note.startswith(f"{value:g} stands") for note in data.reading.notes)


def test_two_sentinels_are_both_named():
    x = table()
    x[::10, 0], x[1::10, 2] = -999, 777
    assert [note.partition(" stands")[0] for note in notes(x)] == ["-999", "777"]


@pytest.mark.parametrize(
    ("codes", "outlier"),
    [((-999, -998), 0), ((97, 98, 99), 0), ((-999, 999), 0), ((-999,), 1e4), ((9999,), -1e6)],
)
def test_several_sentinels_of_one_column_are_named_beside_an_outlier(
    codes: tuple[float, ...], outlier: float
):
    x = table()
    for i, code in enumerate(codes):
        x[i::10, 2] = code
    if outlier:
        x[-1, 2] = outlier
    assert [note.partition(" column 2")[0] for note in notes(x)] == [
        f"{code:g} stands in 10 % of" for code in sorted(codes)
    ]


@pytest.mark.parametrize("shape", [(6, 7), (2, 6, 7)])
def test_a_sentinel_of_pictures_is_named_with_its_channel(shape: tuple[int, ...]):
    x = np.random.default_rng(0).normal(size=(40, *shape)).astype("f4")
    x[:, ..., :3, 0] = -9999
    data = Dataset.from_arrays(x)
    assert data.reading is not None
    more = " and 1 others" if len(shape) == 3 else ""
    assert (
        f"-9999 stands in 7.14 % of channel 0{more}, far from the other values: if it means "
        "missing, save NaN in its place"
    ) in data.reading.notes


def zeros_of_a_count() -> np.ndarray:
    return np.random.default_rng(0).poisson(2.0, (300, 4)).astype("f4")


def one_outlier() -> np.ndarray:
    x = table()
    x[7, 1] = -999
    return x


def heavy_tails() -> np.ndarray:
    return np.random.default_rng(0).standard_cauchy((300, 4)).astype("f4")


def two_levels() -> np.ndarray:
    return np.repeat([[0.0, 1.0], [5.0, 2.0]], 150, 0).astype("f4")


def two_outliers() -> np.ndarray:
    x = table()
    x[7, 1], x[8, 1], x[9, 1] = -999, -998, 2000
    return x


def gaps() -> np.ndarray:
    x = table()
    x[::3] = np.nan
    return x


@pytest.mark.parametrize(
    "make", [table, zeros_of_a_count, one_outlier, two_outliers, heavy_tails, two_levels, gaps]
)
def test_ordinary_values_are_not(make):
    assert notes(make()) == []


def test_pictures_and_bytes_have_none():
    x = np.full((20, 5, 5), 0.5, "f4")
    x[:, 0] = -999
    assert notes(x) == []
    assert notes(np.full((20, 5), 255, "u1")) == []


def test_a_column_without_values_and_one_that_never_varies_are_named():
    x = table()
    x[:, 2], x[:, 0] = np.nan, 7.5
    assert notes(x) == [
        "no row has a value in column 2: what is filled in there is made up",
        "column 0 never varies, from 7.5: it adds an arbitrary constant to log p(x), so leave it "
        "out",
    ]


def test_notes_do_not_depend_on_how_many_rows_are_read_together(monkeypatch: pytest.MonkeyPatch):
    x = np.concatenate([table(), np.ones((300, 2), "f4")], 1)
    x[::2, 5] = 0
    x[::10, 1], x[1::10, 3], x[::3, 0] = -999, 777, np.nan
    x = np.c_[x, np.arange(3, 303, dtype="f4")]
    together = notes(x)
    assert len(together) == 5
    monkeypatch.setattr("elboroom.data.source._VALUES_AT_ONCE", 4 * x.shape[1])
    assert notes(x) == together


def test_rows_are_read_once(monkeypatch: pytest.MonkeyPatch):
    read = []

    def counted(rows: np.ndarray) -> Iterator[np.ndarray]:
        for chunk in in_share(rows):
            read.append(len(chunk))
            yield chunk

    monkeypatch.setattr("elboroom.data.column_notes.in_share", counted)
    assert len(table()) == 300
    notes(table())
    assert sum(read) == 300


def test_a_column_that_counts_the_rows_is_named():
    x = table()
    x[:, 2] = np.arange(100, 400)
    assert notes(x) == ["column 2 counts the rows, from 100: leave it out"]
    x[150:, 2] += 1  # as a year does within one series, which is then another one
    assert notes(x) == []


def test_a_sentinel_of_a_held_out_part_is_named_with_the_part():
    x, test = table(), table()
    test[::10, 1] = -999
    source = Source("t", SourcePart(x, origin="x_train"), test=SourcePart(test, origin="x_test"))
    assert column_notes(source) == [
        "-999 stands in 10 % of column 1 of x_test, far from the other values: if it means "
        "missing, save NaN in its place"
    ]


def test_channels_that_never_vary_are_named():
    x = np.random.default_rng(0).integers(0, 256, (9, 4, 5, 6), dtype="u1")
    assert notes(x) == []
    x[:, 3] = 255
    assert notes(x) == ["channel 3 never varies, from 255: leave it out"]
    x[:, 1] = 0
    assert notes(x) == ["channel 1 and 1 others never vary, from 0: leave it out"]
    x[8, [1, 3], 4, 5] = 7
    assert notes(x) == []
    assert notes(np.full((9, 1, 5, 6), 255, "u1")) == []
