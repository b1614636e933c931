"""Figures that compare methods of inference: `posteriors`, `corner` and `completions`."""

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.path import Path

from elboroom import figures
from elboroom.errors import UsageError
from elboroom.figures.plots.style import BLUE, GREY, UNSEEN, VERMILION
from tests.support.figure_cases import (
    DEPTHS,
    SIGMA,
    Array,
    colours,
    completed,
    completions,
    corner,
    draws,
    halves,
    images,
    picture,
    rng,
    several,
    several_posteriors,
    tile,
)


def lines(axes: Axes) -> list[QuadContourSet]:
    return [c for c in axes.collections if isinstance(c, QuadContourSet) and not c.filled]


def colour(contours: QuadContourSet) -> str:
    return to_hex(np.asarray(contours.get_edgecolor())[0]).upper()


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def titles(row: list[Axes]) -> list[str]:
    return [axes.get_title(loc="left").replace("\n", " ") for axes in row]


def rows(figure: Figure, columns: int) -> list[list[Axes]]:
    return [figure.axes[start : start + columns] for start in range(0, len(figure.axes), columns)]


# posteriors


def test_posteriors_has_a_row_per_image_and_a_column_per_method() -> None:
    first, *others = rows(several_posteriors(3, 2, 1), 5)
    names = ["method 0, with a name", "method 1, with a name", "sampler 0"]
    assert titles(first) == ["seen", "true posterior", *names]
    assert [titles(row) for row in others] == [[""] * 5] * 2
    labelled = [[bool(axes.get_xlabel()) for axes in row] for row in (first, *others)]
    assert labelled == [[False] * 5, [False] * 5, [False, True, True, True, True]]
    assert all([axes.get_ylabel() for axes in row] == ["", "z₂", "", "", ""] for row in others)


def test_posteriors_has_the_contours_of_each_density_over_the_truth() -> None:
    arguments = several(2, 2, 1)
    for row in rows(figures.posteriors(**arguments), 5):
        _, truth, *methods = row
        assert [colour(c) for c in lines(truth)] == [BLUE]
        assert [[colour(c) for c in lines(axes)] for axes in methods] == [
            [GREY, VERMILION],
            [GREY, VERMILION],
            [GREY],
        ]
        top = arguments["log_posterior"].max()
        for contours in (c for axes in (truth, *methods) for c in lines(axes)):
            np.testing.assert_allclose(np.asarray(contours.levels), top - DEPTHS)
        wide = lines(methods[1])[1]
        log_peak = -np.log(2 * np.pi * np.prod(1.25 * SIGMA))
        for path, level in zip(wide.get_paths(), top - DEPTHS, strict=True):
            squares = np.sum((np.asarray(path.vertices) / (1.25 * SIGMA)) ** 2, 1)
            np.testing.assert_allclose(squares, 2 * (log_peak - level), atol=0.01)


def test_posteriors_shows_one_square_in_all_panels_of_a_row() -> None:
    arguments = several(2, 1, 1)
    arguments["z1"] = arguments["z1"] + np.array([[0.0], [5.0]])
    arguments["draws"]["sampler 0"][:, 1, 0] += 5
    for row, centre in zip(rows(figures.posteriors(**arguments), 4), (0, 5), strict=True):
        assert len({(axes.get_xlim(), axes.get_ylim()) for axes in row[1:]}) == 1
        low, high = row[1].get_xlim()
        assert (low + high) / 2 == pytest.approx(centre, abs=0.1)
        assert high - low == pytest.approx(np.ptp(row[1].get_ylim()))
        assert high - low < 1.5 * 8 * SIGMA[0]
        assert {axes.get_aspect() for axes in row} == {1}


def test_posteriors_prints_the_kl_that_it_is_given() -> None:
    arguments = several(2, 3, 1)
    a, b, c = arguments["log_q"]
    arguments["kl"] = {a: np.array([0.1234, 2000]), b: np.array([np.nan, -1e-9])}
    printed = [
        [[text.get_text() for text in axes.texts] for axes in row]
        for row in rows(figures.posteriors(**arguments), 6)
    ]
    assert printed == [
        [[], [], ["KL 0.123 nats"], [], [], []],
        [[], [], ["KL 2e+03 nats"], ["KL 0.000 nats"], [], []],
    ]
    assert c not in arguments["kl"]


def test_posteriors_shows_evenly_spaced_draws() -> None:
    arguments = several(2, 0, 2)
    arguments["draws"]["sampler 1"] = arguments["draws"]["sampler 1"][:50]
    for p, (_, _, many, few) in enumerate(rows(figures.posteriors(**arguments), 4)):
        shown, all_shown = (points(axes) for axes in (many, few))
        index = np.round(np.linspace(0, 699, 300)).astype(int)
        np.testing.assert_array_equal(shown, arguments["draws"]["sampler 0"][index, p])
        np.testing.assert_array_equal(all_shown, arguments["draws"]["sampler 1"][:, p])


def points(axes: Axes) -> Array:
    (scatter,) = [c for c in axes.collections if isinstance(c, PathCollection)]
    assert to_rgb(VERMILION) == tuple(np.asarray(scatter.get_facecolor())[0, :3])
    return np.asarray(scatter.get_offsets())


def test_posteriors_zooms_to_stray_draws_but_not_beyond_the_grid() -> None:
    arguments = several(1, 0, 1)
    arguments["draws"]["sampler 0"][0, 0] = (-1.7, 0)
    near = figures.posteriors(**arguments).axes[1].get_xlim()
    assert -2 < near[0] < -1.7
    arguments["draws"]["sampler 0"][0, 0] = (-1000, 0)
    assert -2.5 < figures.posteriors(**arguments).axes[1].get_xlim()[0] < -1.9


def test_posteriors_leaves_out_a_q_below_every_contour() -> None:
    arguments = several(1, 1, 0)
    (name,) = arguments["log_q"]
    arguments["log_q"][name] = np.full_like(arguments["log_posterior"], -30.0)
    _, truth, method = figures.posteriors(**arguments).axes
    assert [len(lines(axes)) for axes in (truth, method)] == [1, 1]


def test_posteriors_shows_the_seen_pixels() -> None:
    arguments = several(2, 1, 0)
    for p, (seen, *_) in enumerate(rows(figures.posteriors(**arguments), 3)):
        np.testing.assert_array_equal(picture(seen)[:4], colours(arguments["images"][p])[:4])
        np.testing.assert_allclose(picture(seen)[4:], np.broadcast_to(to_rgb(UNSEEN), (4, 8, 3)))


@pytest.mark.parametrize(
    ("fits", "samplers", "named"),
    [(1, 1, ["q(z | seen)", "draws of z"]), (1, 0, ["q(z | seen)"]), (0, 1, ["draws of z"])],
)
def test_posteriors_legend_names_only_what_is_drawn(
    fits: int, samplers: int, named: list[str]
) -> None:
    figure = several_posteriors(1, fits, samplers)
    assert legend(figure)[2:] == named
    title = figure.legends[0].get_title().get_text()
    assert title == "contours 0.5, 2, 4.5, 8 nats below the true maximum"


# corner


def test_corner_has_a_panel_per_dimension_and_pair_labelled_at_its_edges() -> None:
    figure = corner(2, 4)
    assert len(figure.axes) == 10
    labels = ["z₁", "z₂", "z₃", "z₄"]
    assert [axes.get_xlabel() for axes in figure.axes] == [""] * 6 + labels
    assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == labels[1:]
    own = corner(2, 3, axis_labels=["a", "b", "c"])
    assert [axes.get_xlabel() for axes in own.axes][3:] == ["a", "b", "c"]


def test_corner_distinguishes_methods_by_colour_and_by_dashes_or_shade() -> None:
    figure = corner(5, 2)
    (legend_box,) = figure.legends
    assert len({line.get_color() for line in legend_box.get_lines()}) == 5
    names = [text.replace("\n", " ") for text in legend(figure)]
    assert names == list(draws(5, 2))
    swatches = [to_hex(line.get_color()).upper() for line in legend_box.get_lines()]
    _, pair, _ = figure.axes
    assert [colour(c) for c in lines(pair)] == swatches
    assert sum(isinstance(c, QuadContourSet) and bool(c.filled) for c in pair.collections) == 1


def share_inside(contours: QuadContourSet, level: int, z: Array) -> float:
    path = contours.get_paths()[level]
    polygons = [Path(np.asarray(polygon)) for polygon in path.to_polygons()]
    return float(np.mean(np.any([polygon.contains_points(z) for polygon in polygons], axis=0)))


def test_corner_contours_hold_half_and_nine_tenths_of_the_mass() -> None:
    root = np.array([[1.0, 0.0, 0.0], [1.6, 1.2, 0.0], [0.0, 5.0, 2.0]])
    z, fresh = (np.random.default_rng(seed).normal(size=(20_000, 3)) @ root.T for seed in (1, 2))
    panels = figures.corner({"exact": z}).axes
    for axes, pair in zip((panels[1], panels[3], panels[4]), ([0, 1], [0, 2], [1, 2]), strict=True):
        covariance = (root @ root.T)[np.ix_(pair, pair)]
        # Smoothing adds h² σ² to the variances of a Gaussian, h = K^(−1/6).
        smooth = covariance + np.diag(np.diag(covariance)) * len(z) ** (-1 / 3)
        square = np.einsum("ki,ij,kj->k", fresh[:, pair], np.linalg.inv(smooth), fresh[:, pair])
        (contours,) = lines(axes)
        for level, mass in enumerate((0.9, 0.5)):
            expected = np.mean(square < -2 * np.log(1 - mass))
            bound = 4 * np.sqrt(mass * (1 - mass) / len(z))  # the level has the error of a quantile
            assert abs(share_inside(contours, level, fresh[:, pair]) - expected) < bound
            assert abs(share_inside(contours, level, fresh[:, pair[::-1]]) - expected) > bound


def test_corner_marginals_are_densities_on_one_scale() -> None:
    z = {"narrow": rng().normal(1.0, 0.5, (20_000, 2)), "wide": rng().normal(0.0, 2.0, (20_000, 2))}
    diagonal = figures.corner(z).axes[0]
    for line, mean, sigma in zip(diagonal.get_lines(), (1.0, 0.0), (0.5, 2.0), strict=True):
        x, density = (np.asarray(data, float) for data in line.get_data())
        exact = np.exp(-0.5 * ((x - mean) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
        # bias ½ h² p'' ≤ ½ h² p(0)/σ², and 4 standard errors √(p / 2√π K h)
        h = sigma * 20_000 ** (-1 / 5)
        noise = np.sqrt(exact.max() / (2 * np.sqrt(np.pi) * 20_000 * h))
        bound = 0.5 * (h / sigma) ** 2 * exact.max() + 4 * noise
        inside = np.abs(x - mean) < 3 * sigma
        np.testing.assert_allclose(density[inside], exact[inside], atol=bound)
        assert np.abs(density - np.roll(exact, 20)).max() > bound
    assert diagonal.get_ylim()[0] == 0


def test_corner_axes_follow_limits_or_all_methods_but_not_their_outliers() -> None:
    z = draws(2, 2)
    for values in z.values():
        values[0] = 1e6
    free = figures.corner(z).axes
    assert free[1].get_xlim() == free[0].get_xlim()
    assert 4 < free[1].get_xlim()[1] < 10
    limits = np.array([[-1.0, 2.0], [-3.0, 4.0]])
    first, pair, second = figures.corner(z, limits=limits).axes
    assert first.get_xlim() == pair.get_xlim() == (-1, 2)
    assert second.get_xlim() == pair.get_ylim() == (-3, 4)


@pytest.mark.parametrize(
    "z",
    [np.zeros((1, 2)), np.full((50, 2), 3.0), rng().normal(size=(50, 2)) * [0.0, 1.0]],
    ids=["one draw", "one place", "one constant"],
)
def test_corner_draws_constant_values(z: Array) -> None:
    figure = figures.corner({"stuck": z})
    assert all(len(axes.collections) + len(axes.lines) for axes in figure.axes)


def test_corner_of_draws_beyond_the_limits_is_empty() -> None:
    pair = figures.corner(draws(1, 2), limits=np.array([[90.0, 91.0], [90.0, 91.0]])).axes[1]
    assert not pair.collections


# completions


def test_completions_shows_originals_once_and_every_method_between() -> None:
    x = images(3)
    masks, methods = halves(x), completed(x, 2, 1)
    (axes,) = figures.completions(x, masks, methods).axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["seen", "mean", "draw 1", "mean", "draw 1", "draw 2", "original"]
    filled = [part for mean, draws in methods.values() for part in (mean, *draws)]
    tint = np.asarray(to_rgb(UNSEEN))
    for p in range(3):
        np.testing.assert_array_equal(tile(axes, 6, p, (8, 8), 1), colours(x[p]))
        for row, part in enumerate(filled, start=1):
            shown = tile(axes, row, p, (8, 8), 1)
            np.testing.assert_array_equal(shown[:4], colours(x[p])[:4])
            expected = 0.75 * colours(part[p]) + 0.25 * tint
            np.testing.assert_allclose(shown[4:], expected[4:])


def test_completions_of_one_method_is_the_picture_of_completion() -> None:
    x = images(4, channels=3)
    ((mean, draws),) = completed(x, 1, 2).values()
    (one,) = figures.completion(x, halves(x), mean, draws).axes
    (several,) = figures.completions(x, halves(x), {"method": (mean, draws)}).axes
    np.testing.assert_array_equal(picture(one), picture(several))


def test_completions_names_a_method_beside_the_middle_of_its_rows_between_rules() -> None:
    (axes,) = completions(2, 2, 1).axes
    names = {text.get_text().replace("\n", " "): text.xy[1] for text in axes.texts}
    assert names == {"method 0, with a longer name": 1.5, "method 1, with a longer name": 4.0}
    assert [line.get_ydata()[0] for line in axes.lines] == [0.5, 2.5, 5.5]


# refusals

X = images(2)
ROWS, MASKS = several(2, 1, 1), halves(X)
MEAN = {"A": (X, X[None])}


def refused_posteriors(**changes: Any) -> Figure:
    return figures.posteriors(**ROWS | changes)


BAD = {
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
    "NaN density": (
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
    "float mask": (lambda: refused_posteriors(masks=MASKS * 1.0), "expected bool", "float64"),
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
