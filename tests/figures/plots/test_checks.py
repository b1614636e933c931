"""Arguments that figures refuse: each error names what was expected and found."""

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from elboroom import figures
from elboroom.errors import UsageError
from tests.support.figure_cases import (
    corner,
    halves,
    images,
    interpolation,
    posteriors,
    samples,
    several,
    several_posteriors,
    table,
)

X = images(2)
MASKS = halves(X)
FLAT = np.zeros((2, 64))
POSTERIORS, ROWS = posteriors(2), several(2, 1, 1)
MEAN = {"A": (X, X[None])}


def refused_posteriors(**changes: Any) -> Figure:
    return figures.posteriors(**ROWS | changes)


BAD = {
    "flat events": (lambda: figures.samples(FLAT, FLAT), "(N, C, H, W)", "(2, 64)"),
    "two channels": (lambda: samples(2, channels=2), "C = 1", "(2, 2, 8, 8)"),
    "no image": (lambda: samples(0), "no empty axis", "(0, 1, 8, 8)"),
    "fewer draws": (lambda: figures.samples(X, X[:1]), "(2, 1, 8, 8)", "(1, 1, 8, 8)"),
    "latent in 3-D": (lambda: figures.latent(np.zeros((5, 3))), "(5, 2)", "(5, 3)"),
    "labels": (lambda: figures.latent(np.zeros((5, 2)), np.arange(4)), "(5,)", "(4,)"),
    "one step": (lambda: interpolation(2, 1), "T ≥ 2", "T = 1"),
    "ends": (lambda: figures.interpolation(images(2, 3), [("1", "2")]), "R = 2", "1 pairs"),
    "float mask": (
        lambda: figures.completion(X, MASKS.astype(float), X, X[None]),
        "expected bool",
        "found float64",
    ),
    "mean": (lambda: figures.completion(X, MASKS, X[:1], X[None]), "mean", "(1, 1, 8, 8)"),
    "draws": (lambda: figures.completion(X, MASKS, X, X), "(S, P, C, H, W)", "(2, 1, 8, 8)"),
    "wide manifold": (
        lambda: figures.manifold(images(2, 3), np.zeros(2)),
        "(2, 2, 1, 8, 8)",
        "(2, 3, 1, 8, 8)",
    ),
    "coordinates": (lambda: figures.manifold(images(2, 2), np.zeros(3)), "(2,)", "(3,)"),
    "heights": (lambda: figures.manifold(images(2, 2), np.zeros(2), np.zeros(3)), "(2,)", "(3,)"),
    "transposed density": (
        lambda: figures.contours(**POSTERIORS | {"log_q": POSTERIORS["log_q"].swapaxes(1, 2)}),
        "(2, 161, 121)",
        "(2, 121, 161)",
    ),
    "NaN density": (
        lambda: figures.contours(**POSTERIORS | {"log_q": POSTERIORS["log_q"] * np.nan}),
        "no NaN",
        "found nan",
    ),
    "missing column": (
        lambda: figures.curves(table(), {"epoch": np.arange(3)}, held_out_name="test"),
        "held_out",
        "add elbo",
    ),
    "short column": (
        lambda: figures.curves(table() | {"kl": np.zeros(3)}, table(), held_out_name="test"),
        'train["kl"]',
        "(3,)",
    ),
    "no epoch": (
        lambda: figures.curves(
            {name: values[:0] for name, values in table().items()}, table(), held_out_name="test"
        ),
        "at least one epoch",
        "found none",
    ),
    "seven rows": (lambda: several_posteriors(7, 1, 0), "at most 6", "found 7"),
    "no method": (
        lambda: refused_posteriors(log_q={}, kl={}, draws=None),
        "1 to 5 methods",
        "found 0",
    ),
    "six methods": (lambda: several_posteriors(2, 4, 2), "1 to 5 methods", "found 6"),
    "transposed": (
        lambda: refused_posteriors(log_q={"A": np.zeros((2, 121, 161))}, kl={}),
        'log_q["A"]',
        "(2, 121, 161)",
    ),
    "posteriors: NaN density": (
        lambda: refused_posteriors(log_q={"A": np.full((2, 161, 121), np.nan)}, kl={}),
        "no NaN",
        "found nan",
    ),
    "unknown KL": (lambda: refused_posteriors(kl={"A": np.zeros(2)}), "method 0", "found A"),
    "KL": (
        lambda: refused_posteriors(log_q={"A": ROWS["log_posterior"]}, kl={"A": np.zeros(3)}),
        'kl["A"]',
        "(3,)",
    ),
    "draws of one row": (
        lambda: refused_posteriors(draws={"A": np.zeros((9, 1, 2))}),
        "(K, P, 2) = (9, 2, 2)",
        "(9, 1, 2)",
    ),
    "posteriors: float mask": (
        lambda: refused_posteriors(masks=MASKS * 1.0),
        "expected bool",
        "float64",
    ),
    "NaN draws": (
        lambda: figures.corner({"A": np.array([[0.0, np.nan]])}),
        "finite draws",
        "found 1",
    ),
    "no draws": (lambda: figures.corner({"A": np.zeros((0, 2))}), "(K, D)", "(0, 2)"),
    "no corner": (lambda: figures.corner({}), "1 to 5 methods", "found 0"),
    "six corners": (lambda: corner(6, 2), "1 to 5 methods", "found 6"),
    "one dimension": (lambda: corner(1, 1), "2 to 8 dimensions", "D = 1"),
    "nine dimensions": (lambda: corner(1, 9), "2 to 8 dimensions", "D = 9"),
    "two D": (
        lambda: figures.corner({"A": np.zeros((5, 3)), "B": np.zeros((5, 2))}),
        'draws["B"]',
        "(5, 2)",
    ),
    "few labels": (lambda: corner(1, 3, axis_labels=["a"]), "axis_labels", "found 1"),
    "limits": (lambda: corner(1, 2, limits=np.zeros(2)), "(2, 2)", "(2,)"),
    "falling limits": (
        lambda: corner(1, 2, limits=np.array([[0.0, 1.0], [1.0, 0.0]])),
        "low < high",
        "[1.0, 0.0]",
    ),
    "no completion": (lambda: figures.completions(X, MASKS, {}), "one method or more", "found 0"),
    "short mean": (
        lambda: figures.completions(X, MASKS, {"A": (X[:1], X[None])}),
        'methods["A"]: mean',
        "(1, 1, 8, 8)",
    ),
    "flat draws": (
        lambda: figures.completions(X, MASKS, MEAN | {"B": (X, X)}),
        'methods["B"]: draws',
        "(2, 1, 8, 8)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named_with_what_was_expected_and_found(name: str) -> None:
    build, expected, found = BAD[name]
    with pytest.raises(UsageError, match=r"(?s)expected .*found .*fix: ") as error:
        build()
    assert expected in str(error.value)
    assert found in str(error.value)
