"""The kind of values decides the default likelihood: it must be the narrowest that holds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from elboroom import DataConfig, Dataset, load_data
from elboroom.config import ValueKind
from elboroom.data import source

RANDOM = np.random.default_rng(0)
UNIT = RANDOM.random((40, 6)).astype("f4")
GREY = RANDOM.integers(0, 256, (40, 6), dtype=np.uint8)
HOLES = RANDOM.random((40, 6)) < 0.3


def with_holes(x: np.ndarray) -> np.ndarray:
    return np.where(HOLES, np.nan, x).astype("f4")


KINDS: list[tuple[str, np.ndarray, ValueKind]] = [
    ("booleans", UNIT > 0.5, "binary"),
    ("0 and 1 as bytes", (UNIT > 0.5).astype("u1"), "binary"),
    ("0 and 255 as bytes", 255 * (UNIT > 0.5).astype("u1"), "binary"),
    ("0 and 1 as reals with gaps", with_holes(UNIT > 0.5), "binary"),
    ("bytes", GREY, "bytes"),
    ("bytes as reals", (GREY / 255).astype("f4"), "bytes"),
    ("bytes as reals with gaps", with_holes(GREY / 255), "bytes"),
    ("reals in [0, 1]", UNIT, "unit"),
    ("reals in [0, 1] with gaps", with_holes(UNIT), "unit"),
    ("reals in a small unit", 1e-9 * UNIT, "unit"),
    ("probabilities near 0 and 1", np.where(UNIT > 0.5, 1, 1e-6 * UNIT).astype("f4"), "unit"),
    ("bytes of five digits", np.round(GREY / 255, 5).astype("f4"), "bytes"),
    ("levels of 16 bits", (RANDOM.integers(0, 65536, (40, 6)) / 65535).astype("f4"), "unit"),
    ("reals", UNIT - 0.5, "real"),
    ("reals with gaps", with_holes(3 * UNIT), "real"),
    ("whole reals", GREY.astype("f4"), "real"),
]


@pytest.mark.parametrize(("x", "kind"), [k[1:] for k in KINDS], ids=[k[0] for k in KINDS])
@pytest.mark.parametrize("memory", [2.0, 0.0])
def test_the_kind_is_the_narrowest_that_has_all_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, x: np.ndarray, kind: ValueKind, memory: float
):
    monkeypatch.setattr(source, "_VALUES_AT_ONCE", 60)  # several chunks
    np.save(tmp_path / "x.npy", x)
    data = load_data(DataConfig(str(tmp_path / "x.npy"), memory=memory))
    assert data.kind == data.identity.values == kind


@pytest.mark.parametrize("place", ["train", "validation", "test"])
def test_one_value_of_any_part_widens_the_kind(place: str):
    bits = (UNIT > 0.5).astype("f4")
    parts = {name: bits.copy() for name in ("train", "validation", "test")}
    assert loaded(parts).kind == "binary"
    parts[place][-1, -1] = 0.3
    assert loaded(parts).kind == "unit"
    parts[place][-1, -1] = -1
    assert loaded(parts).kind == "real"


def loaded(parts: dict[str, np.ndarray]) -> Dataset:
    return Dataset.from_arrays(**{f"x_{name}": x for name, x in parts.items()})


@pytest.mark.parametrize("how", ["threshold", "dynamic", "static"])
def test_values_that_are_made_binary_are_binary(how: Any):
    data = Dataset.from_arrays(GREY, config=DataConfig(binarisation=how))
    assert (data.kind, data.identity.values) == ("binary", None)


def test_mnist_is_binary_unless_it_is_asked_for_grey(mnist: Dataset):
    assert (mnist.kind, mnist.identity.binarisation) == ("binary", "threshold")
    assert load_data(DataConfig(binarisation="none")).kind == "bytes"


def test_a_data_set_whose_first_rows_are_binary_is_not(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(source, "_VALUES_AT_ONCE", 1)
    x = np.zeros((30, 2), "f4")
    x[:2, 0], x[-1] = 1, 0.7
    assert Dataset.from_arrays(x, x_test=x[:1]).kind == "unit"
