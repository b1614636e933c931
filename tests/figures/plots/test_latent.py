"""The `latent` figure."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb

from elboroom import figures
from tests.support.figure_cases import latent, rng


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
