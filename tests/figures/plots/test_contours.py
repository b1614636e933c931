"""The `contours` figure."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from elboroom import figures
from elboroom.figures.plots.tones import UNSEEN
from tests.support.figure_cases import DEPTHS, SIGMA, colours, contours, lines, picture, posteriors


def test_contours_of_a_gaussian_are_its_one_to_four_sigma_ellipses() -> None:
    arguments = posteriors(3)
    figure = figures.contours(**arguments)
    assert len(figure.axes) == 3
    for axes in figure.axes:
        truth, fit = lines(axes)
        np.testing.assert_array_equal(truth.levels, fit.levels)
        np.testing.assert_allclose(
            np.asarray(truth.levels), arguments["log_posterior"].max() - DEPTHS
        )
        for path, radius in zip(truth.get_paths(), (4, 3, 2, 1), strict=True):
            # Linear interpolation of a parabola over a cell is off by at most h²/8σ² in log p.
            np.testing.assert_allclose(
                np.sum((np.asarray(path.vertices) / SIGMA) ** 2, 1), radius**2, atol=0.01
            )
        assert truth.linestyles == "solid"
        assert fit.linestyles == "dashed"


def test_contours_ignore_far_values() -> None:
    arguments = posteriors(1)
    plain = figures.contours(**arguments).axes[0]
    for name, far in (("log_posterior", -np.inf), ("log_q", -1e4)):
        arguments[name] = np.where(arguments[name] < -40, far, arguments[name])
    cut = figures.contours(**arguments).axes[0]
    for one, other in zip(lines(plain), lines(cut), strict=True):
        for a, b in zip(one.get_paths(), other.get_paths(), strict=True):
            np.testing.assert_allclose(np.asarray(a.vertices), np.asarray(b.vertices))
    assert plain.get_xlim() == cut.get_xlim()


def test_contours_close_where_a_density_ends() -> None:
    arguments = posteriors(1)
    ended = arguments["log_posterior"]
    arguments["log_posterior"] = np.where(ended < ended.max() - 8.1, -np.inf, ended)
    truth, _ = lines(figures.contours(**arguments).axes[0])
    (polygon,) = truth.get_paths()[0].to_polygons(closed_only=False)
    outermost = np.asarray(polygon)
    np.testing.assert_array_equal(outermost[0], outermost[-1])


def test_contours_zoom_to_their_densities_at_equal_scales() -> None:
    (axes,) = contours(1).axes
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert right - left == pytest.approx(top - bottom)
    assert -1.4 < left < -4 * SIGMA[0]  # of a grid from −2 to 2
    assert bottom < -4 * SIGMA[1]
    assert axes.get_aspect() == 1


def test_contours_of_a_q_below_every_level_are_left_out() -> None:
    arguments = posteriors(1)
    arguments["log_q"] = np.full_like(arguments["log_q"], -30.0)
    figure = figures.contours(**arguments)
    assert len(lines(figure.axes[0])) == 1
    assert len(figure.legends[0].get_lines()) == 2


def test_contours_panel_shows_its_seen_pixels_and_its_kl() -> None:
    arguments = posteriors(2)
    figure = figures.contours(**arguments)
    assert [axes.texts[0].get_text() for axes in figure.axes] == [
        "KL(q‖p)\n= 0.123 nats",
        "KL(q‖p)\n= 2,000 nats",
    ]
    (inset,) = figure.axes[1].child_axes
    assert isinstance(inset, Axes)
    np.testing.assert_array_equal(picture(inset)[:4], colours(arguments["images"][1])[:4])
    np.testing.assert_allclose(picture(inset)[4:], np.broadcast_to(to_rgb(UNSEEN), (4, 8, 3)))
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["true posterior p(z | seen)", "fit q(z | seen)"]
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("z₁", "z₂")
