"""The `interpolation` figure."""

import numpy as np
import pytest

from elboroom import figures
from tests.support.figure_cases import colours, images, interpolation, tile


def test_interpolation_labels_rows_by_ends_and_columns_by_fraction() -> None:
    paths = images(2, 5)
    (axes,) = figures.interpolation(paths, [("1", "2"), ("7", "9")]).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["1 → 2", "7 → 9"]
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "0",
        "0.25",
        "0.5",
        "0.75",
        "1",
    ]
    assert list(axes.get_xticks()) == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(tile(axes, 1, 3, (8, 8), 1), colours(paths[1, 3]))


@pytest.mark.parametrize("steps", [11, 21, 24, 31])
def test_interpolation_labels_are_even_and_meet_both_ends(steps: int) -> None:
    (axes,) = interpolation(1, steps).axes
    ticks = axes.get_xticks()
    assert (ticks[0], ticks[-1]) == (0, steps - 1)
    assert len(set(np.diff(ticks))) == 1
