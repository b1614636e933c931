"""The type of each column follows from stated rules, each with its reason."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from elboroom.data.tables import Schema
from elboroom.errors import DataError

pytestmark = pytest.mark.filterwarnings("error")

RANDOM = np.random.default_rng(0)
N = 300
AGE = RANDOM.integers(0, 91, N)
NORMAL = RANDOM.normal(170, 10, N)
DAYS = pd.Timestamp("2020-01-01") + pd.to_timedelta(RANDOM.integers(0, 500, N), "D")
WORDS = np.array(["low", "mid", "high"])[RANDOM.integers(0, 3, N)]


def line(values: Any, given: Any = None, name: str = "x") -> str:
    """The line of a column that stands beside another one."""
    frame = pd.DataFrame({name: pd.Series(values), "other": NORMAL[: len(values)]})
    return Schema.of(frame, None if given is None else {name: given}).lines()[0]


def refusal(values: Any, given: Any = None, name: str = "x") -> DataError:
    with pytest.raises(DataError) as error:
        line(values, given, name)
    assert error.value.what == f"column {name} cannot be used"
    return error.value


def text(values: Any) -> list[str]:
    return [str(value) for value in values]


RULES: dict[str, tuple[Any, str]] = {
    "a count": (AGE, "x: count, whole numbers 0 to 90; negative-binomial"),
    "a count of few": (RANDOM.poisson(3, N) * 1.0, "x: count, whole numbers 0 to 8; poisson"),
    "years are no counts": (
        RANDOM.integers(1990, 2020, N),
        "x: real, whole numbers 1990 to 2019; gaussian",
    ),
    "a sum far from 0": (RANDOM.poisson(99, N), "x: real, whole numbers 68 to 122; gaussian"),
    "whole numbers below 0": (AGE - 40, "x: real, whole numbers -40 to 50; gaussian"),
    "reals": (NORMAL.round(1), "x: real, numbers 132.3 to 200.7; gaussian"),
    "reals with heavy tails": (
        np.r_[NORMAL[:-3], 900, -700, 1000],
        "x: real, numbers -700 to 1000; student-t",
    ),
    "skewed reals above 0": (np.exp(RANDOM.normal(0, 1, N)), "; log-normal"),
    "reals above 0": (NORMAL.round(), "x: real, whole numbers 132 to 201; gaussian"),
    "two numbers": (AGE % 2, "x: binary, two values: 0, 1; bernoulli"),
    "two words": (WORDS[WORDS != "mid"], "x: binary, two values: high, low; bernoulli"),
    "booleans": (AGE > 40, "x: binary, two values: False, True; bernoulli"),
    "booleans with a gap": ([True, None, False, True], "x: binary, two values: False, True; 1"),
    "booleans that are text": (["true", "false", "true", "", "true"], "two values: false, true; 1"),
    "words": (WORDS, "x: category, 3 levels: high, low, mid; categorical:3"),
    "a pandas category": (pd.Categorical(WORDS), "x: category, 3 levels: high, low, mid"),
    "an ordered one": (
        pd.Categorical(WORDS, ["low", "mid", "high"], ordered=True),
        "x: ordinal, 3 levels in order: low, mid, high; ordinal:3",
    ),
    "a level that no row has": (
        pd.Categorical(WORDS, ["low", "none", "mid", "high"], ordered=True),
        "x: ordinal, 3 levels in order: low, mid, high; ordinal:3",
    ),
    "few whole numbers": (1 + AGE % 5, "x: ordinal, 5 levels in order: 1, 2, 3, 4, 5; ordinal:5"),
    "a few with a rare one": (np.r_[1 + AGE[:-1] % 5, 7], "x: count, whole numbers 1 to 7"),
    "numbers that are text": (text(AGE), "x: count, whole numbers 0 to 90"),
    "decimal commas": ([f"{v:.1f}".replace(".", ",") for v in NORMAL], "numbers 132.3 to 200.7"),
    "thousands": (["1,234.5", "12", "1,000", "7"], "x: real, numbers 7 to 1234.5"),
    "codes with zeros": (["007", "012", "007", "012"], "x: binary, two values: 007, 012"),
    "ISO dates": (
        text(DAYS.date),
        f"x: date, dates {DAYS.min():%Y-%m-%d} to {DAYS.max():%Y-%m-%d}, as %Y-%m-%d",
    ),
    "dates": (DAYS, f"x: date, dates {DAYS.min():%Y-%m-%d} to {DAYS.max():%Y-%m-%d}; gaussian"),
    "dates of Python": (DAYS.date, f"x: date, dates {DAYS.min():%Y-%m-%d} to"),
    "days before months": (["31/12/2020", "01/02/2021", ""], "as %d/%m/%Y; 1 missing"),
    "months before days": (["12/31/2020", "01/02/2021", ""], "as %m/%d/%Y; 1 missing"),
    "either": (
        ["01/02/2020", "03/04/2021", ""],
        'as %d/%m/%Y (they could be %m/%d/%Y too: say x.format = "%m/%d/%Y"); 1 missing',
    ),
    "a constant": ([3.0, None, 3.0], "x: left out, every known value is 3"),
    "nothing": ([None, np.nan, ""], "x: left out, no row has a value"),
    "numbers of rows": (range(7, 90), "x: left out, identifier: it counts the rows, from 7"),
    "different words": (text(NORMAL.astype(str) + "a"), "x: left out, identifier or free text"),
    "free text": (
        [f"word {n % 60}" for n in range(N)],
        "x: left out, free text: 60 different texts in 300 rows; if they are categories, say "
        'x.type = "category"',
    ),
    "lists": ([[1], [2]] * 9, "x: left out, its cells are no numbers, texts, dates or booleans"),
    "durations": (pd.to_timedelta(AGE, "D"), "x: left out, its cells are no numbers"),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_gives_the_type_and_the_reason(rule: str):
    values, told = RULES[rule]
    assert told in line(values)


def test_an_identifier_needs_its_name_unless_it_counts():
    shuffled = RANDOM.permutation(5000)[:N]
    assert line(shuffled, name="patient_id").startswith("patient_id: left out, identifier: every")
    assert line(shuffled, name="patientID").startswith("patientID: left out, identifier: every")
    assert line(shuffled, name="valid").startswith("valid: count")


@pytest.mark.parametrize("word", ["", " ", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None",
                                  "?", "<NA>", "#N/A", "NaT"])  # fmt: skip
def test_words_mean_missing(word: str):
    assert line(["1.5", word, "2.5", "3.5"]) == "x: real, numbers 1.5 to 3.5; 1 missing; gaussian"


@pytest.mark.parametrize("value", [None, np.nan, pd.NA, pd.NaT])
def test_values_mean_missing(value: Any):
    values = pd.Series([1.5, value, 2.5, 3.5], dtype=object)
    assert line(values) == "x: real, numbers 1.5 to 3.5; 1 missing; gaussian"


@pytest.mark.parametrize("kind", ["Int64", "Float64", "float32", "int8", "object"])
def test_types_of_pandas_with_the_same_values_give_the_same_column(kind: str):
    assert line(pd.Series(AGE).astype(kind)) == line(AGE)


# What is said goes before what is found.

SAID: list[tuple[Any, Any, str]] = [
    (AGE % 5, "count", "x: count, whole numbers 0 to 4"),
    (AGE % 5, "real", "x: real, whole numbers 0 to 4"),
    (AGE % 5, "category", "x: category, 5 levels: 0, 1, 2, 3, 4; categorical:5"),
    (WORDS, {"type": "ordinal", "levels": ["low", "mid", "high"]}, "in order: low, mid, high"),
    (WORDS, {"levels": ["low", "mid", "high", "top"]}, "x: category, 4 levels: low, mid, high, to"),
    (AGE % 3, {"type": "ordinal", "levels": [2, 1, 0]}, "3 levels in order: 2, 1, 0; ordinal:3"),
    (np.where(AGE < 9, -999, AGE), {"missing": [-999]}, "x: real, whole numbers 9 to 90; "),
    (["1", "2.5", "none seen"], {"missing": ["none seen"]}, "x: real, numbers 1 to 2.5; 1 missing"),
    (["None", "Ex", "None", "Ex"], {"levels": ["None", "Ex"]}, "x: binary, two values: None, Ex"),
    (AGE, "ignore", "x: left out, as asked"),
    ([f"w{n % 9000}" for n in range(18_000)], "category", "x: category, 9000 levels: w0, w1"),
    (AGE, {"likelihood": "poisson"}, "x: count, whole numbers 0 to 90; poisson"),
    (AGE, {"type": "real", "likelihood": "student-t"}, "x: real, whole numbers 0 to 90; student-t"),
    (["1,234", "2,345", ""], {"decimal": ","}, "x: real, numbers 1.234 to 2.345"),
    (["1,234", "2,345", ""], {"decimal": "."}, "x: real, whole numbers 1234 to 2345"),
    (["01/02/2020", "03/04/2021"], {"format": "%m/%d/%Y"}, "01/02/2020 to 03/04/2021, as %m/%d"),
    ([20200131, 20210228], {"type": "date", "format": "%Y%m%d"}, "dates 20200131 to 20210228"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "given", "told"), SAID)
def test_what_is_said_goes_before_what_is_found(values: Any, given: Any, told: str):
    frame = pd.DataFrame({"x": values, "other": np.arange(len(values)) % 7 / 4})
    assert told in Schema.of(frame, {"x": given}).lines()[0]


REFUSED: list[tuple[Any, Any, str, str]] = [
    ([1.5, np.inf, 2, -np.inf], None, "found 2 infinite values", 'x.missing = ["inf", "-inf"]'),
    ([1.5, 1e30, 2], None, "found values up to 1e+30", 'x.type = "ignore"'),
    ([1.5e-25, 2.5e-25, 1e-25], None, "its values differ by", "another unit"),
    (["1,234", "2,345"], None, "the comma of 1,234 may part decimals or tho", 'x.decimal = ","'),
    ([*text(AGE), "<5"], None, "beside numbers it holds <5", 'x.missing = ["<5"]'),
    ([-1.0, 2, 3], "count", "found -1; a count is a whole number from 0", 'x.type = "real"'),
    ([1.5, 2, 3], "count", "found 1.5; a count is a whole number from 0", "x.missing = [1.5]"),
    ([0.0, 2.5, 3], "positive", "found 0; a positive is above 0", 'x.type = "real"'),
    (["a", "b", "1"], "real", "found a, b; a real needs numbers", 'x.missing = ["a", "b"]'),
    (["a", "b"], "date", "found a, b; expected dates", 'x.format = "%d/%m/%Y"'),
    (WORDS, "ordinal", "the order of its levels is not known", 'levels = ["high", "low", "mid"]'),
    (WORDS, {"levels": ["low", "high"]}, "found mid, which its levels do not name", "x.levels ="),
    (WORDS, "binary", "found 3 levels for the type binary; expected two", "x.levels ="),
    ([None, None], "real", "found no value; a real needs some", 'x.type = "ignore"'),
    (AGE, "number", "found the type 'number'; expected real, positive, count", 'x.type = "real"'),
    (AGE, {"kind": "real"}, "found the option kind; expected type, levels", "remove it"),
    (AGE, 3, "found a int for it", 'x.type = "real"'),
    (AGE, {"likelihood": "gaussian"}, "found the likelihood gaussian for the type count", "neg"),
    ([f"w{n}" for n in range(10_001)] * 2, "category", "found 10,001 levels", "at most" * 0),
]


@pytest.mark.parametrize(("values", "given", "why", "fix"), REFUSED)
def test_what_cannot_be_used_is_refused_by_name_with_the_fix(
    values: Any, given: Any, why: str, fix: str
):
    frame = pd.DataFrame({"x": values, "other": np.arange(len(values)) % 7 / 4})
    with pytest.raises(DataError) as error:
        Schema.of(frame, None if given is None else {"x": given})
    assert error.value.what == "column x cannot be used"
    assert why in error.value.why
    assert fix in error.value.fix


def test_a_table_of_one_row_or_of_nothing_to_model_is_refused():
    with pytest.raises(DataError, match="a table of one row cannot be trained on"):
        Schema.of(pd.DataFrame({"x": [1.5]}))
    with pytest.raises(DataError, match="no column of the table can be modelled"):
        Schema.of(pd.DataFrame({"x": [1.5, 1.5]}))
    with pytest.raises(DataError, match="the table has no column y, whose type is said"):
        Schema.of(pd.DataFrame({"x": [1.5, 2]}), {"y": "real"})


def notes(values: Any, given: Any = None) -> str:
    frame = pd.DataFrame({"x": values, "other": np.arange(len(values)) % 7 / 4})
    return "\n".join(Schema.of(frame, None if given is None else {"x": given}).notes)


def test_a_sentinel_is_pointed_out_by_name_with_the_line_that_declares_it():
    sentinels = np.where(AGE < 5, -999, AGE)
    share = 100 * (AGE < 5).mean()
    assert notes(sentinels) == (
        f"-999 stands in {share:.3g} % of column x, far from the other values: if it means "
        "missing, say x.missing = [-999]"
    )
    assert "say x.missing = [99]" in notes(np.where(AGE < 5, 99, AGE % 5))
    assert notes(sentinels, {"missing": [-999]}) == ""
    assert notes(AGE) == ""
    far = np.where(AGE < 5, pd.Timestamp("1900-01-01"), DAYS)
    assert 'say x.missing = ["1900-01-01"]' in notes(far)
    assert notes(far, {"missing": ["1900-01-01"]}) == ""


def test_words_that_could_be_levels_and_spellings_are_pointed_out():
    assert notes(["NA", "EU", "US", *WORDS]).startswith("NA was read as missing in x: if it is a l")
    assert "Low and low are different levels of column x" in notes([*WORDS, "Low"])
    assert notes(["NaN", "EU", "US", *WORDS]) == ""


def test_float32_holds_what_an_origin_makes_small():
    values = 1e9 + RANDOM.normal(size=N)
    column = Schema.of({"x": values}).columns[0]
    assert column.origin == np.round(np.median(values))
    encoded = Schema.of({"x": values}).encode({"x": values}).astype(np.float32)
    np.testing.assert_allclose(encoded[:, 0] + np.float64(column.origin), values, atol=1e-6)
    assert Schema.of({"x": NORMAL}).columns[0].origin == 0


def test_columns_of_different_scales_are_fine():
    frame = {"small": NORMAL * 1e-9, "large": NORMAL * 1e12}
    np.testing.assert_array_equal(Schema.of(frame).encode(frame), np.stack([*frame.values()], 1))
