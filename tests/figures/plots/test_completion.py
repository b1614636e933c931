"""The `completion` and `completions` figures."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from elboroom import figures
from elboroom.figures.plots.tones import UNSEEN
from tests.support.figure_cases import (
    colours,
    completed,
    completions,
    halves,
    images,
    picture,
    tile,
)


@pytest.mark.parametrize("channels", [1, 3])
def test_completion_keeps_the_seen_and_fills_the_unseen(channels: int) -> None:
    x = images(4, channels=channels)
    masks, mean, draws = halves(x), 1 - x, np.stack([x / 2, x / 3])
    (axes,) = figures.completion(x, masks, mean, draws).axes
    labels = ["seen", "mean", "draw 1", "draw 2", "original"]
    assert [label.get_text() for label in axes.get_yticklabels()] == labels
    tint = np.asarray(to_rgb(UNSEEN))
    weight = 0.25 if channels == 1 else 0.0
    for p in range(4):
        rows = [tile(axes, row, p, (8, 8), 1) for row in range(5)]
        for row in rows:
            np.testing.assert_array_equal(row[:4], colours(x[p])[:4])
        np.testing.assert_allclose(rows[0][4:], np.broadcast_to(tint, (4, 8, 3)))
        for row, filled in zip(rows[1:4], (mean, *draws), strict=True):
            expected = (1 - weight) * colours(filled[p]) + weight * tint
            np.testing.assert_allclose(row[4:], expected[4:])
        np.testing.assert_array_equal(rows[4], colours(x[p]))


def test_completions_shows_originals_once_and_every_method_between() -> None:
    x = images(3)
    masks, methods = halves(x), completed(x, 2, 1)
    (axes,) = figures.completions(x, masks, methods).axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["seen", "mean", "draw 1", "mean", "draw 1", "draw 2", "original"]
    filled = [part for mean, draws in methods.values() for part in (mean, *draws)]
    tint = np.asarray(to_rgb(UNSEEN))
    for p in range(3):
        np.testing.assert_array_equal(tile(axes, 6, p, (8, 8), 1), colours(x[p]))
        for row, part in enumerate(filled, start=1):
            shown = tile(axes, row, p, (8, 8), 1)
            np.testing.assert_array_equal(shown[:4], colours(x[p])[:4])
            expected = 0.75 * colours(part[p]) + 0.25 * tint
            np.testing.assert_allclose(shown[4:], expected[4:])


def test_completions_of_one_method_is_the_picture_of_completion() -> None:
    x = images(4, channels=3)
    ((mean, draws),) = completed(x, 1, 2).values()
    (one,) = figures.completion(x, halves(x), mean, draws).axes
    (several,) = figures.completions(x, halves(x), {"method": (mean, draws)}).axes
    np.testing.assert_array_equal(picture(one), picture(several))


def test_completions_names_a_method_beside_the_middle_of_its_rows_between_rules() -> None:
    (axes,) = completions(2, 2, 1).axes
    names = {text.get_text().replace("\n", " "): text.xy[1] for text in axes.texts}
    assert names == {"method 0, with a longer name": 1.5, "method 1, with a longer name": 4.0}
    assert [line.get_ydata()[0] for line in axes.lines] == [0.5, 2.5, 5.5]
