import hashlib
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elboroom import Dataset, load_mnist
from elboroom.data.binarisation import draw, draw_rows, threshold
from elboroom.randomness import stream


def grey(rows: int = 500) -> torch.Tensor:
    return torch.linspace(0, 1, 20).repeat(rows, 1)


def draw_all(x: torch.Tensor, *, stream: int, start: int = 0) -> torch.Tensor:
    """Draw all rows of a part, the first of them at `start` in the stream."""
    return draw_rows(x, np.arange(start, start + len(x)), stream=stream)


def digest(x: torch.Tensor) -> str:
    return hashlib.sha256(x.to(torch.uint8).numpy().tobytes()).hexdigest()[:16]


def written(bits: torch.Tensor) -> str:
    return "".join(map(str, bits.tolist()))


def test_the_threshold_is_strictly_above_one_half():
    x = torch.tensor([0.0, 127 / 255, 0.5, 0.5000001, 128 / 255, 1.0])
    assert threshold(x).tolist() == [0, 0, 0, 1, 1, 1]


def test_a_draw_from_the_fixed_seed_is_the_same_everywhere_and_forever():
    half = torch.full((20,), 0.5)
    assert written(draw_all(half, stream=0)) == "01100100011110011000"
    assert written(draw_all(half, stream=1)) == "10010110110010110111"


@pytest.mark.parametrize("stream_", [0, 1])
def test_a_fixed_draw_of_black_and_white_changes_nothing(stream_: int):
    x = torch.tensor([0.0, 1.0]).repeat(1000)
    assert torch.equal(draw_all(x, stream=stream_), x.to(torch.uint8))


def draws_of(how: str) -> torch.Tensor:
    if how == "fixed":
        return draw_all(grey(), stream=0).float()
    return draw(grey(), stream(0, "test"))


@pytest.mark.parametrize("how", ["fixed", "fresh"])
def test_a_pixel_is_white_as_often_as_it_is_bright(how: str):
    p, rows = grey()[0], len(grey())
    error = (p * (1 - p) / rows).sqrt()
    assert ((draws_of(how).mean(0) - p).abs() <= 4 * error + 1e-6).all()


@given(st.integers(0, 9))
def test_a_row_is_drawn_alike_wherever_its_part_begins(start: int):
    x = grey(10)
    assert torch.equal(draw_all(x, stream=0)[start:], draw_all(x[start:], stream=0, start=start))


@given(st.lists(st.integers(0, 9)))
def test_rows_are_drawn_alike_in_any_order_and_any_number(rows: list[int]):
    x, index = grey(10), np.array(rows, dtype=np.int64)
    assert torch.equal(draw_rows(x[index], index, stream=0), draw_all(x, stream=0)[index])


def test_fresh_draws_differ_and_follow_their_generator():
    first, second = stream(0, "test"), stream(0, "test")
    a, b, c = draw(grey(), first), draw(grey(), first), draw(grey(), second)
    assert not torch.equal(a, b)
    assert torch.equal(a, c)


@pytest.fixture(scope="module")
def dynamic() -> Dataset:
    return load_mnist("dynamic", "reference", validation=100)


@pytest.fixture(scope="module")
def static() -> Dataset:
    return load_mnist("static", "reference", validation=100)


def is_binary(x: torch.Tensor) -> bool:
    return bool(((x == 0) | (x == 1)).all())


def test_dynamic_training_images_are_drawn_again_at_every_visit(dynamic: Dataset):
    generator, index = stream(0, "test"), torch.arange(50)
    first, second = (dynamic.train.batch(index, generator) for _ in range(2))
    assert is_binary(first)
    assert not torch.equal(first, second)
    assert not is_binary(dynamic.train.x[:50])


@pytest.mark.parametrize("part", ["validation", "test"])
def test_dynamic_held_out_images_are_drawn_once(dynamic: Dataset, part: str):
    images, index, generator = getattr(dynamic, part), torch.arange(100), stream(0, "test")
    assert is_binary(images.x)
    assert torch.equal(images.batch(index, generator), images.batch(index, generator))


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_static_images_are_drawn_once(static: Dataset, part: str):
    images, index, generator = getattr(static, part), torch.arange(100), stream(0, "test")
    assert is_binary(images.x)
    assert torch.equal(images.batch(index, generator), images.batch(index, generator))


def test_the_static_draw_of_mnist_is_the_same_everywhere_and_forever(static: Dataset):
    assert digest(static.test.images) == "1451ccbc34c3c326"
    assert digest(static.train.images) == "fb8eb41c9e513ba9"


def test_dynamic_and_static_share_their_test_images(static: Dataset, dynamic: Dataset):
    assert torch.equal(static.test.images, dynamic.test.images)


def test_a_static_row_is_drawn_alike_in_train_and_in_validation(static: Dataset):
    whole = load_mnist("static", "reference").train.images
    assert static.validation is not None
    assert torch.equal(whole, torch.cat([static.train.images, static.validation.images]))


def test_static_pixels_are_as_bright_on_average_as_the_grey_ones(static: Dataset, dynamic: Dataset):
    p = dynamic.train.x
    error = math.sqrt((p * (1 - p)).sum().item())
    assert abs(static.train.x.sum().item() - p.sum().item()) < 4 * error


def test_thresholded_mnist_is_its_grey_levels_above_one_half(mnist: Dataset, dynamic: Dataset):
    levels = dynamic.train.images[:500]
    assert torch.equal(mnist.train.images[:500], (levels >= 128).to(torch.uint8))
