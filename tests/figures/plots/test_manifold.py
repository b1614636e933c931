"""The `manifold` figure."""

import numpy as np

from elboroom import figures
from tests.support.figure_cases import colours, images, tile


def test_manifold_may_have_other_values_upwards() -> None:
    across, up = np.array([1.0, 2.0]), np.array([-8.0, 9.0])
    (axes,) = figures.manifold(images(2, 2), across, up).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1.00", "2.00"]
    ticks = sorted(zip(axes.get_yticks(), axes.get_yticklabels(), strict=True), reverse=True)
    assert [label.get_text() for _, label in ticks] == ["−8.00", "9.00"]


def test_manifold_has_z1_to_the_right_and_z2_upwards() -> None:
    x, coordinates = images(4, 4), np.array([-1.5, -0.001, 0.5, 1.5])
    (axes,) = figures.manifold(x, coordinates).axes
    for i in range(4):
        for j in range(4):
            shown = tile(axes, 3 - i, j, (8, 8), 0)
            np.testing.assert_array_equal(shown, colours(x[i, j]))
    labels = ["−1.50", "0.00", "0.50", "1.50"]
    assert [label.get_text() for label in axes.get_xticklabels()] == labels
    assert [label.get_text() for label in axes.get_yticklabels()] == labels
    y = [axes.transData.transform((0, tick))[1] for tick in axes.get_yticks()]
    assert y == sorted(y)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("z₁", "z₂")
