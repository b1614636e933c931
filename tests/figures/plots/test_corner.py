"""The `corner` figure."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.contour import QuadContourSet
from matplotlib.path import Path

from elboroom import figures
from tests.support.figure_cases import Array, colour, corner, draws, legend, lines, rng


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
