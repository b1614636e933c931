"""The `posteriors` figure."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from elboroom import figures
from elboroom.figures.plots.style import BLUE, GREY, VERMILION
from elboroom.figures.plots.tones import UNSEEN
from tests.support.figure_cases import (
    DEPTHS,
    SIGMA,
    Array,
    colour,
    colours,
    legend,
    lines,
    picture,
    several,
    several_posteriors,
)


def titles(row: list[Axes]) -> list[str]:
    return [axes.get_title(loc="left").replace("\n", " ") for axes in row]


def rows(figure: Figure, columns: int) -> list[list[Axes]]:
    return [figure.axes[start : start + columns] for start in range(0, len(figure.axes), columns)]


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
        [[], [], ["KL 2,000 nats"], ["KL 0.000 nats"], [], []],
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
