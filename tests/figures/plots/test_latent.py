"""The `latent` figure."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from elboroom import figures
from elboroom.errors import UsageError
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


def names_in_legend(figure: Figure) -> list[str]:
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def test_latent_names_the_classes_that_are_there() -> None:
    means = rng().normal(size=(4, 2))
    names = ("cat", "dog", "T-shirt/top", "11")
    assert names_in_legend(figures.latent(means, [2, 0, 2, 0], class_names=names)) == [
        "cat",
        "T-shirt/top",
    ]
    assert names_in_legend(figures.latent(means, [3] * 4, class_names=names)) == ["class 11"]
    assert names_in_legend(figures.latent(means, ["b", "a", "b", "b"])) == ["a", "b"]
    assert names_in_legend(figures.latent(means, [-1, 1, 12, 1])) == [
        *("class -1", "class 1", "class 12")
    ]


def test_latent_refuses_a_label_without_a_name() -> None:
    means = rng().normal(size=(3, 2))
    for label in (2, -1):
        with pytest.raises(UsageError, match=f"2 class names, found {label}"):
            figures.latent(means, [0, 1, label], class_names=("cat", "dog"))


@pytest.mark.parametrize("scale", [1, 0.37, -5])
def test_many_labels_have_a_bar_of_their_values(scale: float) -> None:
    means, labels = rng().normal(size=(3000, 2)), scale * rng().permutation(3000)
    axes, bar = figures.latent(means, labels).axes
    figure = axes.figure
    assert isinstance(figure, Figure)
    assert not figure.legends
    assert bar.get_ylabel() == "class, 3,000 different ones"
    assert bar.get_ylim() == pytest.approx((labels.min(), labels.max()))
    colours = np.asarray(scatter(axes).get_facecolor())
    lightness = colours[:, :3] @ [0.2126, 0.7152, 0.0722]  # which grows along the colour map
    assert (np.diff(lightness[np.argsort(labels)]) > -0.01).all()


def test_many_names_have_a_bar_of_their_order() -> None:
    names = [f"subject {k:03}" for k in range(100)]
    means = rng().normal(size=(100, 2))
    _, bar = figures.latent(means, np.arange(100), class_names=names).axes
    ticks = [text.get_text() for text in bar.get_yticklabels()]
    assert (ticks[0], ticks[-1]) == ("subject 000", "subject 099")


def test_names_that_a_legend_could_not_tell_apart_have_a_bar() -> None:
    names = [f"the same beginning {k:02} and the same end" for k in range(50)]
    figure = figures.latent(rng().normal(size=(50, 2)), np.arange(50), class_names=names)
    assert not figure.legends
    assert len(figure.axes) == 2
