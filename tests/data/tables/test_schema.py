"""A schema encodes a table by the names of its columns, and decodes missing entries."""

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from elboroom.data.tables import Column, Schema, as_frame
from elboroom.errors import DataError

TABLE = pd.DataFrame(
    {
        "id": range(1, 7),
        "age": [31.0, np.nan, 80, 4, 0, 55],
        "height": [1.5, 1.75, None, 1.25, 1.6, 1.8],
        "sex": ["f", "m", None, "f", "f", "m"],
        "grade": pd.Categorical(
            ["low", "high", "mid", None, "mid", "low"], ["low", "mid", "high"], ordered=True
        ),
        "seen": pd.to_datetime(
            ["2020-01-01", "2020-01-05", None, "2020-02-01", "2021-01-01", "2021-01-01"]
        ),
        "note": list("abcdef"),
        "well": [True, None, False, True, True, False],
    }
)  # fmt: skip
SCHEMA = Schema.of(TABLE, {"age": "count"})
CODES = [
    [31, 1.5, 0, 0, 0, 1],
    [np.nan, 1.75, 1, 2, 4, np.nan],
    [80, np.nan, np.nan, 1, np.nan, 0],
    [4, 1.25, 0, np.nan, 31, 1],
    [0, 1.6, 0, 1, 366, 1],
    [55, 1.8, 1, 0, 366, 0],
]
FILL = np.array([[40.4, 1.712, 1, 2, 10.2, 0]] * 6)


def test_entries_become_numbers_codes_and_days():
    assert SCHEMA.modelled == ("age", "height", "sex", "grade", "seen", "well")
    assert SCHEMA.likelihoods == (
        *("negative-binomial", "gaussian", "bernoulli", "ordinal:3", "gaussian", "bernoulli"),
    )
    encoded = SCHEMA.encode(TABLE)
    assert encoded.dtype == np.float64
    np.testing.assert_array_equal(encoded, CODES)


def test_columns_are_found_by_name_in_any_order_and_others_are_passed_over():
    shuffled = TABLE[TABLE.columns[::-1]].assign(more=1)
    np.testing.assert_array_equal(SCHEMA.encode(shuffled), CODES)
    assert SCHEMA.extra(shuffled) == ["more"]
    np.testing.assert_array_equal(SCHEMA.encode(TABLE.drop(columns=["id", "note"])), CODES)


def test_missing_columns_and_unseen_levels_are_named():
    with pytest.raises(DataError) as error:
        SCHEMA.encode(TABLE.drop(columns=["sex", "age"]))
    assert error.value.what == "the table lacks columns: age, sex"
    with pytest.raises(DataError) as error:
        SCHEMA.encode(TABLE.assign(sex="x"))
    assert error.value.what == "column sex cannot be used"
    assert error.value.why == "found x; its levels are f, m"
    with pytest.raises(DataError, match=r"found -1; expected whole numbers from 0"):
        SCHEMA.encode(TABLE.assign(age=-1))
    with pytest.raises(DataError, match=r"found old; expected numbers, since it is a count"):
        SCHEMA.encode(TABLE.assign(age="old"))
    with pytest.raises(DataError, match="found soon; expected dates"):
        SCHEMA.encode(TABLE.assign(seen="soon"))
    with pytest.raises(DataError, match="found inf; expected finite numbers"):
        SCHEMA.encode(TABLE.assign(height=np.inf))


def test_a_log_normal_column_takes_no_number_that_it_gives_no_density():
    schema = Schema((Column("x", "positive", likelihood="log-normal"),))
    assert schema.encode({"x": [0.5]}).tolist() == [[0.5]]
    with pytest.raises(DataError, match="found 0; expected numbers above 0"):
        schema.encode({"x": [0.0]})


def test_missing_entries_are_filled_in_their_own_type_and_nothing_else_changes():
    filled = SCHEMA.decode(FILL, TABLE)
    known = TABLE.notna()
    assert (filled.where(known) == TABLE)[known].where(known, True).all(axis=None)
    pd.testing.assert_series_equal(filled["note"], TABLE["note"])
    assert filled["age"].tolist() == [31, 40, 80, 4, 0, 55]
    assert filled["age"].dtype == np.int64  # gaps alone had made it float
    assert filled["height"][2] == 1.71
    assert (filled["sex"][2], filled["grade"][3], filled["well"][1]) == ("m", "high", False)
    assert filled["seen"][2] == pd.Timestamp("2020-01-11")
    kinds = filled.dtypes.drop("age")
    assert (kinds == TABLE.dtypes.drop("age")).all()
    assert TABLE["sex"][2] is None or pd.isna(TABLE["sex"][2])  # the table itself is as it was


def test_a_column_of_objects_without_a_known_text_is_filled_with_its_levels():
    schema = Schema.of(pd.DataFrame({"sex": pd.Series([*"fmfm"], dtype=object)}))
    unknown = pd.DataFrame({"sex": pd.Series([None, None], dtype=object)})
    assert schema.decode(np.array([[1.0], [0.0]]), unknown)["sex"].tolist() == ["m", "f"]


def test_an_entry_stays_missing_where_no_value_is_given():
    filled = SCHEMA.decode(np.full((6, 6), np.nan), TABLE)
    pd.testing.assert_frame_equal(filled, TABLE)


def test_no_code_but_that_of_a_level_is_decoded():
    for code in (-1, 3, 0.5):
        with pytest.raises(DataError, match=f"found the code {code:g}; expected one of 0 to 2"):
            SCHEMA.decode(np.where(np.arange(6) == 3, code, FILL), TABLE)
    with pytest.raises(DataError, match=r"found shape \(6, 5\); expected \(6, 6\)"):
        SCHEMA.decode(FILL[:, :5], TABLE)


@pytest.mark.parametrize(
    ("cells", "given", "value", "told"),
    [
        (["1.50", "2.25", ""], "real", 3.1, "3.10"),
        (["1.5", "2.25", ""], "real", 3.0999, "3.1"),
        (["1.5", "2.25", ""], "real", 3.126, "3.13"),
        (["1,5", "2,25", ""], "real", 3.126, "3,13"),
        (["3", "5", ""], "real", 3.7, "4"),
        (["3.0", "5.0", ""], "count", 3.7, "4.0"),
        (["3", "5", ""], "count", -0.2, "0"),
        (["0.5", "1.5", ""], "positive", 0.01, "0.1"),
        (["-1", "1", ""], "real", -0.2, "0"),
        (["1e-9", "2.5e-9", ""], "real", 3.1e-9, "3.1e-09"),
        (["007", "012", ""], "category", 1, "012"),
        (["1.0", "2.0", "NA"], "category", 1, "2.0"),
        (["yes", "no", "?"], "binary", 1, "yes"),
        ([" a", "b ", ""], "category", 0, "a"),
        (["03/04/2020", "25/12/2020", ""], "date", 1, "04/04/2020"),
        (["3/4/2020", "25/12/2020", ""], "date", 1, "4/4/2020"),
        (["2020-01-01 10:30", "2020-01-02 11:00", ""], "date", 0.5, "2020-01-01 12:00"),
        (["2020-01-01T10:30:05Z", "2020-01-02T11:00:00Z", ""], "date", 0.5, "2020-01-01T12:00:00Z"),
    ],
)
def test_text_is_written_as_the_column_writes_it(cells: Any, given: Any, value: float, told: str):
    frame = pd.DataFrame({"x": pd.Series(cells, dtype=object)})
    schema = Schema.of(frame, {"x": given})
    assert schema.decode(np.full((3, 1), value), frame)["x"].tolist() == [*cells[:2], told]


@pytest.mark.parametrize(
    ("cells", "value", "told"),
    [
        (pd.array([1, None, 7, 9], "Int64"), 2.0, pd.array([1, 2, 7, 9], "Int64")),
        (pd.array([1, None, 7, 9], "int64[pyarrow]"), 2, pd.array([1, 2, 7, 9], "int64[pyarrow]")),
        (pd.array([True, None, False, True], "boolean"), 1, pd.array([True] * 2 + [False, True])),
        (np.array([0.5, np.nan, 2, 3], "f4"), 1.25, np.array([0.5, 1.2, 2, 3], "f4")),
        (np.array([1, "NA", 2.5, 3], object), 1.25, np.array([1, 1.2, 2.5, 3], object)),
    ],
)
def test_types_are_kept(cells: Any, value: float, told: Any):
    frame = pd.DataFrame({"x": cells})
    schema = Schema.of(frame)
    pd.testing.assert_frame_equal(
        schema.decode(np.full((4, 1), value), frame), pd.DataFrame({"x": told})
    )


def test_what_a_spec_calls_missing_is_filled():
    frame = pd.DataFrame({"x": [1.5, -999, 2.5, 4], "y": ["a", "unknown", "b", "a"]})
    given = {"x": {"missing": [-999]}, "y": {"missing": ["unknown"]}}
    filled = Schema.of(frame, given).decode(np.full((4, 2), 1.0), frame)
    assert filled.to_dict("list") == {"x": [1.5, 1.0, 2.5, 4], "y": ["a", "b", "b", "a"]}


def test_an_origin_is_added_again():
    frame = pd.DataFrame({"x": [1e9 + 0.25, 1e9 + 0.5, np.nan, 1e9]})
    schema = Schema.of(frame)
    assert schema.columns[0].origin == 1e9
    assert schema.decode(np.full((4, 1), 0.125), frame)["x"][2] == 1e9 + 0.12


def test_a_word_that_means_missing_is_a_level_if_it_is_named():
    frame = pd.DataFrame({"pool": ["None", "Ex", "", "None"]})
    schema = Schema.of(frame, {"pool": {"levels": ["None", "Ex"]}})
    np.testing.assert_array_equal(schema.encode(frame)[:, 0], [0, 1, np.nan, 0])
    assert schema.decode(np.zeros((4, 1)), frame)["pool"].tolist() == ["None", "Ex", "None", "None"]


def test_text_is_typed_as_the_schema_says():
    text = pd.DataFrame(
        {
            "id": ["007", "008", "009", "010"],
            "real": ["1,5", "2,25", "", "7"],
            "count": ["3", "NA", "5", "100"],
            "flag": ["true", "?", "false", "true"],
            "grade": ["b", "a", "", "b"],
            "day": ["31/12/2020", "", "02/01/2021", "03/01/2021"],
        },
        dtype=object,
    )
    given = {"grade": {"type": "ordinal", "levels": ["a", "b"]}, "count": "count"}
    typed = Schema.of(text, given).typed(text)
    assert typed["id"].tolist() == text["id"].tolist()
    np.testing.assert_array_equal(typed["real"], [1.5, 2.25, np.nan, 7])
    assert typed["count"].tolist() == [3, pd.NA, 5, 100]
    assert typed["flag"].tolist() == [True, pd.NA, False, True]
    assert typed["grade"].cat.ordered
    assert typed["grade"].tolist()[:2] == ["b", "a"]
    assert typed["day"][2] == pd.Timestamp("2021-01-02")
    assert typed["day"].isna().tolist() == [False, True, False, False]
    same = ["age", "height", "grade", "seen"]  # which are typed
    pd.testing.assert_frame_equal(SCHEMA.typed(TABLE)[same], TABLE[same])


def test_a_log_normal_column_keeps_its_origin_at_0():
    values = {"x": 1e9 + np.arange(9)}
    given = {"x": {"type": "positive", "likelihood": "log-normal"}}
    assert Schema.of(values, given).columns[0].origin == 0


def test_times_with_a_zone_keep_it():
    times = pd.Series(pd.to_datetime(["2020-06-01 12:00", None, "2020-06-05 00:00"]))
    frame = pd.DataFrame({"x": times.dt.tz_localize("Europe/Paris")})
    schema = Schema.of(frame)
    filled = schema.decode(schema.encode(frame)[[0, 0, 2]], frame)["x"]
    assert filled.dtype == frame["x"].dtype
    assert filled[1] == frame["x"][0]


# TOML


def test_a_schema_is_the_same_after_toml():
    text = SCHEMA.to_toml()
    assert Schema.from_toml(text) == SCHEMA
    assert tomllib.loads(text)["sex"]["levels"] == ["f", "m"]
    assert Schema.from_toml(text).lines() == SCHEMA.lines()


def test_any_name_and_any_level_are_the_same_after_toml():
    names = ["a.b.c.d.e.f.g.h.i.j.k.l", "", 'say "x"\n= 1', "[z]", "é😀\x7f"]
    levels = ("x.y.z.a.b.c.d.e.f.g = 1", 'q"\\', "é\t\x1b", "complete")
    columns = [Column(name, "category", levels=levels, missing=("?!", -999.5)) for name in names]
    schema = Schema((*columns, Column("complete", "real", origin=1e18, decimals=0)))
    assert Schema.from_toml(schema.to_toml()) == schema


def test_a_whole_schema_is_taken_as_it_is_and_a_part_of_one_is_completed(tmp_path: Path):
    path = tmp_path / "spec.toml"
    path.write_text(SCHEMA.to_toml())
    assert Schema.of(TABLE.iloc[:1], path) == SCHEMA
    path.write_text('age.type = "count"\n')
    assert Schema.of(TABLE, path) == SCHEMA
    assert Schema.of(TABLE, str(path)) == SCHEMA


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("age = = 1", "cannot read the columns of"),
        ("every-column-is-here = true", "no column of the table can be modelled"),
        ("every-column-is-here = true\n[x]\nlevels = [1]", "its type is not said"),
        ('every-column-is-here = true\n[x]\ntype = "category"\nlevels = ["a"]', "found 1 levels"),
        ('every-column-is-here = true\n[x]\ntype = "exec"', "found the type 'exec'"),
        ('[x]\ntype = "real"', "no whole schema"),
        ('every-column-is-here = true\n[x]\ntype = "real"\norigin = "y"', "x.origin cannot be 'y'"),
    ],
)
def test_toml_that_is_no_schema_is_refused(content: str, told: str):
    with pytest.raises(Exception, match=told) as error:
        Schema.from_toml(content)
    assert hasattr(error.value, "fix")


def test_a_spec_that_cannot_be_read_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="cannot read the columns of"):
        Schema.of(TABLE, tmp_path / "absent.toml")
    (tmp_path / "bad.toml").write_bytes(b"\xff")
    with pytest.raises(DataError, match="cannot read the columns of"):
        Schema.of(TABLE, tmp_path / "bad.toml")


# Frames


def test_polars_dicts_and_arrays_are_tables_too():
    values = {"x": [1.5, None, 2.5], "y": ["a", "b", "a"]}
    expected = Schema.of(pd.DataFrame(values))
    assert Schema.of(values) == expected
    assert Schema.of(pl.DataFrame(values)) == expected
    np.testing.assert_array_equal(
        expected.encode(pl.DataFrame(values)), [[1.5, 0], [np.nan, 1], [2.5, 0]]
    )
    assert Schema.of(np.array([[1.5, 2.5], [3.5, 4.5]])).modelled == ("0", "1")


def test_two_columns_of_one_name_and_other_things_are_refused():
    with pytest.raises(DataError, match="two columns of one name"):
        as_frame(pd.DataFrame([[1, 2]], columns=["x", "x"]))
    with pytest.raises(DataError, match="two columns of one name"):
        as_frame(pd.DataFrame([[1, 2]], columns=[1, "1"]))
    with pytest.raises(DataError, match="names of several levels"):
        as_frame(pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])))
    with pytest.raises(DataError, match="a list cannot be used as a table"):
        as_frame([[1, 2]])
    with pytest.raises(DataError, match="found 10,001 columns"):
        as_frame(np.zeros((2, 10_001)))


def test_a_column_has_the_levels_and_the_likelihood_of_its_type():
    assert Column("x", "category", levels=("a", "b", "c")).likelihood == "categorical:3"
    assert Column("x", "ordinal", levels=("a", "b")).likelihood == "ordinal:2"
    assert Column("x", "real").likelihood == "gaussian"
    assert Column("x", "ignore").likelihood == ""
    for wrong in ({"levels": ("a",)}, {"levels": ("a", "a")}, {"likelihood": "poisson"}):
        with pytest.raises(DataError, match="column x cannot be used"):
            replace(Column("x", "category", levels=("a", "b", "c")), **{"likelihood": ""} | wrong)
