"""The `levels` figure."""

import numpy as np
import pytest

from elboroom import figures
from elboroom.errors import UsageError
from tests.support.figure_cases import colours, images, tile


def test_levels_has_the_originals_above_and_a_row_for_each_number_of_kept_levels() -> None:
    x, means = images(3), images(2, 3)
    (axes,) = figures.levels(x, means, names=["#1", "#2", "#3"]).axes
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert rows == ["original", "1 kept", "0 kept"]
    np.testing.assert_array_equal(tile(axes, 0, 1, (8, 8), 1), colours(x[1]))
    np.testing.assert_array_equal(tile(axes, 2, 0, (8, 8), 1), colours(means[1, 0]))


@pytest.mark.parametrize("words", [{"labels": ["all"]}, {"names": ["#1"]}, {"means": images(2, 2)}])
def test_levels_needs_as_many_images_and_names_in_every_row(words) -> None:
    with pytest.raises(UsageError, match="expected"):
        figures.levels(images(3), **{"means": images(2, 3)} | words)
