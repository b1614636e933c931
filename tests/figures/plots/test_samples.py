"""The `samples` figure."""

import numpy as np
import pytest

from elboroom import figures
from tests.support.figure_cases import colours, images, picture, tile


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


def test_samples_say_what_their_blocks_are() -> None:
    above, below = figures.samples(images(2), images(2), captions=("noisy", "clean")).axes
    assert above.get_title(loc="left") == "noisy"
    assert below.get_title(loc="left") == "clean"


def test_values_outside_the_given_range_are_clipped(caplog: pytest.LogCaptureFixture) -> None:
    high, low = np.full((1, 1, 4, 4), 1.5), np.full((1, 1, 4, 4), -0.5)
    above, below = figures.samples(high, low, value_range=(0, 1)).axes
    assert picture(above).min() == 1.0
    assert picture(below).max() == 0.0
    assert not caplog.records  # matplotlib would have clipped, too, but not in silence
