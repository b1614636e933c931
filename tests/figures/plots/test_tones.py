"""The tones of images: real values are stretched, missing pixels tinted, the rest unchanged."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from elboroom import figures
from elboroom.errors import UsageError
from elboroom.figures.plots.tones import UNSEEN, Tones
from tests.support.figure_cases import halves, images, picture, rng, tile

TINT = np.asarray(to_rgb(UNSEEN))
RAMP = np.linspace(0, 1, 101).reshape(1, 1, 1, 101)


def test_values_in_the_unit_interval_are_shown_bit_for_bit_without_a_bar() -> None:
    x = images(2).astype(np.float32)
    for tones in (Tones.of(None, x), Tones.of((0, 1), 2 * x - 0.5)):
        assert tones == Tones(0.0, 1.0, "")
        np.testing.assert_array_equal(tones.rgb(x)[..., 0], x[:, 0])
    assert len(figures.samples(x, x).axes) == 2


@pytest.mark.parametrize(("scale", "offset"), [(1, 0.5), (1e9, -3e9), (1e-17, 0), (0.01, 1e4)])
def test_real_values_are_stretched_from_the_1st_to_the_99th_percentile(scale, offset) -> None:
    x = scale * (RAMP - 0.5) + offset
    tones = Tones.of(None, x)
    if scale == 1:
        assert tones == Tones()  # it is within [0, 1]
        return
    np.testing.assert_allclose(
        tones.rgb(x)[0, 0, :, 0], np.clip((RAMP[0, 0, 0] - 0.01) / 0.98, 0, 1), atol=1e-6
    )
    assert "1st and 99th percentile" in tones.note


def test_all_images_of_a_figure_share_one_scale() -> None:
    means, draws = 100 * RAMP + 300, 50 * RAMP + 300
    above, below, bar = figures.samples(means, draws).axes
    low, high = np.percentile(np.concatenate([means, draws]), (1, 99))
    for axes, x in ((above, means), (below, draws)):
        expected = np.clip((x[0, 0, 0] - low) / (high - low), 0, 1)
        np.testing.assert_allclose(picture(axes)[0, :, 0], expected)
    labels = [float(text.get_text()) for text in bar.get_xticklabels()]
    np.testing.assert_allclose(labels, [low, high], rtol=0.01)


def test_the_ends_of_the_bar_are_told_apart_far_from_zero() -> None:
    *_, bar = figures.samples(1e5 + RAMP, 1e5 + RAMP).axes
    assert [text.get_text() for text in bar.get_xticklabels()] == ["100000.01", "100000.99"]


def test_bytes_are_shown_from_0_to_255_and_binary_bytes_from_0_to_1() -> None:
    x = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    np.testing.assert_array_equal(Tones.of(None, x).rgb(x)[0, :, :, 0], x[0, 0] / 255)
    np.testing.assert_array_equal(Tones.of(None, x % 2).rgb(x % 2)[0, :, :, 0], x[0, 0] % 2)
    assert not Tones.of(None, x).note


@pytest.mark.parametrize("value", [-2.5, 0.0, 7.0, 1e30])
def test_equal_values_are_neither_nan_nor_clipped(value: float) -> None:
    shown = Tones.of(None, np.full((1, 4, 4), value)).rgb(np.full((1, 4, 4), value))
    np.testing.assert_allclose(shown, 0.0 if value == 0 else 0.5)


def test_few_values_beside_many_equal_ones_are_not_lost() -> None:
    x = np.zeros((1, 1, 20, 20))
    x[0, 0, 3, 4] = 8.0
    tones = Tones.of(None, x)
    assert (tones.low, tones.high) == (0, 8)
    assert "smallest and largest" in tones.note


@pytest.mark.parametrize("far", [np.inf, -np.inf, np.nan])
def test_values_that_are_not_finite_do_not_stretch_the_scale(far: float) -> None:
    x = rng().normal(size=(1, 1, 8, 8))
    with_far = x.copy()
    with_far[0, 0, 0, 0] = far
    assert Tones.of(None, with_far).high == pytest.approx(np.percentile(x, 99), abs=0.3)
    assert np.isfinite(Tones.of(None, with_far).rgb(with_far)).all()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [1, 70])
def test_missing_pixels_are_tinted_whatever_hides_them(channels: int, scale: int) -> None:
    x = scale * images(2, channels=channels)
    x[0, 0, 2, 3] = np.nan
    tones = Tones.of(None, x)
    for shown in (tones.rgb(x), tones.rgb(x, np.isnan(x)), tones.rgb(x, np.isnan(x), opacity=0.2)):
        np.testing.assert_array_equal(shown[0, 2, 3], TINT)
        assert np.isfinite(shown).all()
        assert (shown[1] != TINT).any(-1).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_completion_tints_what_is_missing_in_seen_and_original(channels: int) -> None:
    x = images(2, channels=channels)
    x[1, :, 1, 5] = np.nan
    masks = halves(x)  # True where the pixel is missing, too
    (axes,) = figures.completion(x, masks, 1 - images(2, channels=channels), x[None] * 0).axes[:1]
    for row in (0, 4 - 1):  # seen and original
        np.testing.assert_allclose(tile(axes, row, 1, (8, 8), 1)[1, 5], TINT)
        assert (tile(axes, row, 0, (8, 8), 1)[1, 5] != TINT).any()
    filled = tile(axes, 1, 1, (8, 8), 1)[1, 5]
    weight = 0.25 if channels == 1 else 0.0
    expected = (1 - weight) * (1 - images(2, channels=channels)[1, :, 1, 5]) + weight * TINT
    np.testing.assert_allclose(filled, np.broadcast_to(expected, 3))


@pytest.mark.parametrize("value_range", [(1, 1), (1, 0), (0, np.inf), (np.nan, 1)])
def test_a_range_that_does_not_increase_is_refused(value_range) -> None:
    with pytest.raises(UsageError, match="value_range: expected finite"):
        figures.samples(images(1), images(1), value_range=value_range)


def test_a_given_range_is_stated_and_clips() -> None:
    above, _, bar = figures.samples(RAMP, RAMP, value_range=(0.25, 0.75)).axes
    np.testing.assert_allclose(picture(above)[0, :, 0], np.clip((RAMP[0, 0, 0] - 0.25) / 0.5, 0, 1))
    assert [text.get_text() for text in bar.get_xticklabels()] == ["0.25", "0.75"]
