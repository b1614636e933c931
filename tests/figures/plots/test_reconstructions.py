"""The `reconstructions` figure."""

import numpy as np
import pytest

from elboroom import figures
from elboroom.errors import UsageError
from tests.support.figure_cases import colours, images, tile


@pytest.mark.parametrize("channels", [1, 3])
def test_reconstructions_stand_below_their_originals(channels: int) -> None:
    x = images(4, channels=channels)
    (axes,) = figures.reconstructions(x, 1 - x, names=["#3", "#1", "#7", "#131"]).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["original", "mean"]
    below = [label.get_text().split("\n") for label in axes.get_xticklabels()]
    assert [name for name, _ in below] == ["#3", "#1", "#7", "#131"]
    for p in range(4):
        np.testing.assert_array_equal(tile(axes, 0, p, (8, 8), 1), colours(x[p]))
        np.testing.assert_array_equal(tile(axes, 1, p, (8, 8), 1), colours(1 - x[p]))


def test_reconstructions_say_what_their_rows_are() -> None:
    figure = figures.reconstructions(
        images(2), images(2), labels=("noisy", "draw"), caption="one draw of p(x | z)"
    )
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["noisy", "draw"]
    assert figure.get_suptitle() == "one draw of p(x | z)"


def test_the_error_below_a_column_is_over_its_known_pixels() -> None:
    x = np.zeros((3, 3, 2, 2))
    means = np.full_like(x, 0.25)
    x[0, :, 0, 0] = 0.5 + 0.25  # one pixel of four: sqrt((0.5² + 3 · 0.25²) / 4) = 0.331
    x[1, 0, 0, 0] = np.nan
    x[2] = np.nan
    (axes,) = figures.reconstructions(x, means).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.33", "0.25", "–"]


def test_reconstructions_of_other_shapes_are_refused() -> None:
    with pytest.raises(UsageError, match="means: expected shape"):
        figures.reconstructions(images(2), images(1))
    with pytest.raises(UsageError, match="names: expected 2, found 1"):
        figures.reconstructions(images(2), images(2), names=["#1"])
