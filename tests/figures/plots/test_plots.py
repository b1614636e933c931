import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure

from elboroom import figures
from elboroom.figures.plots.style import UNSEEN
from tests.support.figure_cases import (
    DEPTHS,
    SIGMA,
    colours,
    contours,
    curves,
    latent,
    picture,
    posteriors,
    rng,
    table,
)


def scatter(axes: Axes) -> PathCollection:
    (points,) = axes.collections
    assert isinstance(points, PathCollection)
    return points


def test_latent_points_keep_order_colour_and_class() -> None:
    means, labels = rng().normal(size=(60, 2)), rng().permutation(np.arange(60) % 3) * 4
    figure = figures.latent(means, labels, axis_labels=("a", "b"), note="from D = 50")
    (axes,) = figure.axes
    points = scatter(axes)
    np.testing.assert_array_equal(points.get_offsets(), means)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["class 0", "class 4", "class 8"]
    swatches = {
        label: line.get_color() for label, line in zip((0, 4, 8), legend.get_lines(), strict=True)
    }
    expected = [to_rgb(swatches[label]) for label in labels]
    np.testing.assert_allclose(np.asarray(points.get_facecolor())[:, :3], expected)
    assert all(line.get_alpha() is None for line in legend.get_lines())
    assert np.asarray(points.get_facecolor())[0, 3] < 1
    assert points.get_rasterized()
    assert axes.get_aspect() == 1
    assert np.ptp(axes.get_ylim()) < 1.5 * np.ptp(means)  # repeated layouts do not zoom out
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("a", "b")
    assert axes.get_title(loc="left") == "from D = 50"


def test_latent_distinguishes_47_classes() -> None:
    (legend,) = latent(94, 47).legends
    looks = {(line.get_color(), line.get_marker()) for line in legend.get_lines()}
    assert len(looks) == 47


def test_latent_points_have_the_markers_of_the_legend() -> None:
    figure = latent(10, 10)
    paths = scatter(figure.axes[0]).get_paths()
    assert len(paths) == 10
    assert len({np.asarray(path.vertices).tobytes() for path in paths}) == 7


def test_latent_without_labels_has_one_colour_and_no_legend() -> None:
    figure = latent(20, None)
    assert not figure.legends
    assert len(np.unique(np.asarray(scatter(figure.axes[0]).get_facecolor()), axis=0)) == 1
    assert figure.axes[0].get_xlabel() == "z₁"


def line_sets(axes: Axes) -> list[QuadContourSet]:
    return [c for c in axes.collections if isinstance(c, QuadContourSet) and not c.filled]


def test_contours_of_a_gaussian_are_its_one_to_four_sigma_ellipses() -> None:
    arguments = posteriors(3)
    figure = figures.contours(**arguments)
    assert len(figure.axes) == 3
    for axes in figure.axes:
        truth, fit = line_sets(axes)
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
    for one, other in zip(line_sets(plain), line_sets(cut), strict=True):
        for a, b in zip(one.get_paths(), other.get_paths(), strict=True):
            np.testing.assert_allclose(np.asarray(a.vertices), np.asarray(b.vertices))
    assert plain.get_xlim() == cut.get_xlim()


def test_contours_close_where_a_density_ends() -> None:
    arguments = posteriors(1)
    ended = arguments["log_posterior"]
    arguments["log_posterior"] = np.where(ended < ended.max() - 8.1, -np.inf, ended)
    truth, _ = line_sets(figures.contours(**arguments).axes[0])
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
    assert len(line_sets(figure.axes[0])) == 1
    assert len(figure.legends[0].get_lines()) == 2


def test_contours_panel_shows_its_seen_pixels_and_its_kl() -> None:
    arguments = posteriors(2)
    figure = figures.contours(**arguments)
    assert [axes.texts[0].get_text() for axes in figure.axes] == [
        "KL(q‖p)\n= 0.123 nats",
        "KL(q‖p)\n= 2e+03 nats",
    ]
    (inset,) = figure.axes[1].child_axes
    assert isinstance(inset, Axes)
    np.testing.assert_array_equal(picture(inset)[:4], colours(arguments["images"][1])[:4])
    np.testing.assert_allclose(picture(inset)[4:], np.broadcast_to(to_rgb(UNSEEN), (4, 8, 3)))
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["true posterior p(z | seen)", "fit q(z | seen)"]
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("z₁", "z₂")


def by_title(figure: Figure) -> dict[str, Axes]:
    return {axes.get_title(loc="left").split(",")[0].split("(")[0]: axes for axes in figure.axes}


def test_curves_draws_both_tables_and_names_them() -> None:
    train = table()
    held_out = {name: values[4::5] for name, values in train.items()}
    figure = figures.curves(train, held_out, held_out_name="test")
    panels = by_title(figure)
    assert list(panels) == ["ELBO", "reconstruction", "KL"]
    for axes, quantity in zip(panels.values(), ("elbo", "reconstruction", "kl"), strict=True):
        for line, source in zip(axes.get_lines(), (train, held_out), strict=True):
            np.testing.assert_array_equal(line.get_xdata(), source["epoch"])
            np.testing.assert_array_equal(line.get_ydata(), source[quantity])
        assert axes.get_ylabel() == "nats per image"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["train", "test"]


def test_curves_limits_leave_out_the_first_epochs_only() -> None:
    low, high = by_title(curves(60, 5))["ELBO"].get_ylim()
    train = table()
    assert low > -200  # the first epoch is below −10,000
    assert low < train["elbo"][6:].min()
    assert high > train["elbo"][6:].max()


@pytest.mark.parametrize("epochs", [1, 2, 9])
def test_curves_shows_all_of_a_short_training(epochs: int) -> None:
    low, high = by_title(curves(epochs, 5))["ELBO"].get_ylim()
    assert low < table(epochs)["elbo"].min()
    assert high > table(epochs)["elbo"].max()


@pytest.mark.parametrize(("beta", "panels"), [(1.0, 3), (0.5, 4)])
def test_curves_shows_beta_unless_it_is_one(beta: float, panels: int) -> None:
    figure = curves(20, 5, lambda epoch: np.full_like(epoch, beta))
    assert len(figure.axes) == panels
    assert ("β" in by_title(figure)) == (panels == 4)


def test_curves_without_held_out_epochs_names_the_train_only() -> None:
    figure = curves(4, 5)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["train"]
