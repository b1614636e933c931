from dataclasses import dataclass
from typing import Any, Literal

import pytest

from elboroom.config.typed_tables import read, require_type
from elboroom.errors import UsageError


@dataclass(frozen=True)
class Kind:
    count: int
    rate: float = 1.0
    widths: tuple[int, ...] = ()
    name: Literal["a", "b"] = "a"
    noise: float | None = None


def test_a_table_is_the_dataclass_of_its_fields():
    table = {"count": 3, "rate": 2, "widths": [4, 5], "name": "b", "noise": 0.5}
    assert read(Kind, table) == Kind(3, 2, (4, 5), "b", 0.5)
    assert read(Kind, {"count": 3}) == Kind(3)


@pytest.mark.parametrize(
    ("table", "what", "why"),
    [
        ([], "[] cannot be used as Kind", "found a list; expected a table of options"),
        ({}, "count is missing from Kind", "Kind needs count"),
        (
            {"count": 1, "b": 2, "a": 3},
            "unknown option a, b in a config",
            "Kind has count, name, noise, rate, widths",
        ),
        ({"count": "1"}, "count cannot be '1'", "it must be of type int"),
        (
            {"count": 1, "noise": "x"},
            "noise cannot be 'x'",
            "it must be of type float | None",
        ),
        (
            {"count": 1, "name": "c"},
            "name cannot be 'c'",
            "it must be of type Literal['a', 'b']",
        ),
    ],
)
def test_any_other_table_is_refused(table: Any, what: str, why: str):
    with pytest.raises(UsageError) as error:
        read(Kind, table)
    assert str(error.value).split("\n  ")[:2] == [what, f"why: {why}"]


@pytest.mark.parametrize(
    ("hint", "fits", "others"),
    [
        (int, [0, -(2**63), 2**63 - 1], [2**63, True, 1.0, "1", None]),
        (float, [1, 0.5, float("nan"), -(10**300)], [10**400, True, "1", None]),
        (bool, [True, False], [0, 1, "true"]),
        (str, ["", "β\n"], [b"x", 1, "\ud800"]),
        (int | None, [None, 1], [1.5]),
        (tuple[int, ...], [[], (1,), [1, 2]], [[1.0], 1, "12", [[1]]]),
        (dict[str, float], [{}, {"a": 1}], [{"a": "b"}, {1: 1.0}, [], None]),
        (int | Literal["auto"], [1, "auto"], ["x", True]),
        (Literal[1], [1], [True, 1.0]),
        (Any, [None, object()], []),
    ],
)
def test_a_type_has_its_values_and_no_others(hint: Any, fits: list[Any], others: list[Any]):
    for value in fits:
        require_type("x", value, hint)
    for value in others:
        with pytest.raises(UsageError, match="it must be of type"):
            require_type("x", value, hint)


def test_a_long_value_is_abbreviated():
    with pytest.raises(UsageError) as error:
        require_type("x", "y" * 10_000, int)
    assert len(str(error.value)) < 300
