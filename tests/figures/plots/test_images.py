import numpy as np
import pytest
from matplotlib.colors import to_rgb

from elboroom import figures
from elboroom.figures.plots.style import UNSEEN
from tests.support.figure_cases import colours, halves, images, interpolation, picture, tile


@pytest.mark.parametrize("channels", [1, 3])
def test_samples_shows_draws_below_their_means(channels: int) -> None:
    means, draws = images(13, channels=channels), 1 - images(13, channels=channels)
    above, below = figures.samples(means, draws).axes
    assert above.get_position().y0 > below.get_position().y1
    assert above.get_title(loc="left") == "means of p(x | z), z ~ p(z)"
    assert below.get_title(loc="left") == "draws x ~ p(x | z), same z"
    for n in range(13):
        row, column = divmod(n, 7)
        for axes, x in ((above, means), (below, draws)):
            np.testing.assert_array_equal(tile(axes, row, column, (8, 8), 1), colours(x[n]))
    np.testing.assert_array_equal(tile(below, 1, 6, (8, 8), 1), 1.0)


def test_values_outside_the_unit_interval_are_clipped(caplog: pytest.LogCaptureFixture) -> None:
    above, below = figures.samples(np.full((1, 1, 4, 4), 1.5), np.full((1, 1, 4, 4), -0.5)).axes
    assert picture(above).min() == 1.0
    assert picture(below).max() == 0.0
    assert not caplog.records  # matplotlib would have clipped, too, but not in silence


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
