"""The `traversal` figure."""

import numpy as np
import pytest

from elboroom import figures
from elboroom.errors import UsageError
from tests.support.figure_cases import colours, images, tile


def test_traversal_has_a_row_per_latent_and_a_column_per_value() -> None:
    walks = images(2, 5)
    (axes,) = figures.traversal(walks, np.linspace(-3, 3, 5), names=["z₄", "z₁"]).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["z₄", "z₁"]
    labels = ["−3", "−1.5", "0", "1.5", "3"]
    assert [label.get_text() for label in axes.get_xticklabels()] == labels
    np.testing.assert_array_equal(tile(axes, 1, 3, (8, 8), 1), colours(walks[1, 3]))


def test_traversal_of_one_value_has_its_label() -> None:
    (axes,) = figures.traversal(images(2, 1), np.array([0.5])).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.5"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["z₁", "z₂"]


@pytest.mark.parametrize(("steps", "names"), [(4, None), (3, ["z₁"])])
def test_traversal_needs_as_many_values_and_names_as_images(steps, names) -> None:
    with pytest.raises(UsageError, match="expected"):
        figures.traversal(images(2, 3), np.arange(steps), names=names)
