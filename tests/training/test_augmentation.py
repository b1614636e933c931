"""Flips, shifts, rotations and zooms of training images."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from elboroom.config import Config, DataConfig, ModelConfig, ObjectiveConfig, TrainConfig
from elboroom.data import Dataset, Part, load_data
from elboroom.data.binarisation import Binarisation
from elboroom.errors import UsageError
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.runs.run import Run
from elboroom.training import augmentation
from elboroom.training.augmentation import Augmentation, taken, turned
from elboroom.training.loop import train
from elboroom.training.resolve import resolve
from elboroom.training.state import TrainState, mutable_tensors, new_state
from elboroom.training.step import Step
from tests.support.oracles import assert_mean, assert_rejected

QUICK = TrainConfig(epochs=1, batch_size=10, device="cpu", precision="fp32", threads=1)


def pictures(count: int, shape: tuple[int, ...] = (2, 3, 5)) -> Tensor:
    """Return pictures without two equal values, (count, C, H, W)."""
    return torch.arange(count * math.prod(shape)).float().view(count, *shape)


def moved(x: Tensor, down: int, right: int, *, flip: bool) -> Tensor:
    """Flip pictures (B, C, H, W), then shift them, by padding with their edges and cropping."""
    x = x.flip(3) if flip else x
    far, (height, width) = max(abs(down), abs(right), 1), x.shape[2:]
    padded = F.pad(x, (far, far, far, far), mode="replicate")
    return padded[:, :, far - down :, far - right :][:, :, :height, :width]


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("shift", [0, 1, 2])
def test_each_picture_takes_every_move_equally_often(flip: bool, shift: int):
    """Each is one of 2 (2 s + 1)² moves; their counts are within 4.5 standard errors."""
    one, count = pictures(1), 6_000
    sides = range(-shift, shift + 1)
    flips = (False, True) if flip else (False,)
    moves = [moved(one, a, b, flip=f)[0] for a in sides for b in sides for f in flips]
    found = Augmentation(flip, shift)(one.expand(count, -1, -1, -1), stream(0, "moves"))
    is_move = torch.stack([(found == move).flatten(1).all(1) for move in moves])
    assert is_move.sum(0).eq(1).all()
    p = 1 / len(moves)
    worst = (is_move.double().mean(1) - p).abs().max()
    assert worst <= 4.5 * math.sqrt(p * (1 - p) / count)


def test_pictures_of_a_batch_move_apart_and_only_within_themselves():
    x = pictures(50)
    found = Augmentation(True, 1)(x, stream(0, "moves"))
    moves = [(a, b, f) for a in (-1, 0, 1) for b in (-1, 0, 1) for f in (False, True)]
    is_move = torch.stack(
        [(found == moved(x, a, b, flip=f)).flatten(1).all(1) for a, b, f in moves]
    )
    assert is_move.any(0).all()
    assert is_move.any(1).sum() > 10


def turned_by(x: Tensor, degrees: float, scale: float = 1.0) -> Tensor:
    """Turn pictures (B, C, H, W) about their centre by one angle, and let them grow."""
    rows, columns = (torch.arange(side).expand(len(x), side) for side in x.shape[2:])
    numbers = (torch.full((len(x), 1, 1), value) for value in (math.radians(degrees), scale))
    return taken(x, *turned(rows[:, :, None], columns[:, None, :], *numbers))


@pytest.mark.parametrize("side", [4, 5, 28])
@pytest.mark.parametrize("quarters", [-2, -1, 0, 1, 2])
def test_a_square_picture_turns_by_right_angles_exactly(side: int, quarters: int):
    x = pictures(3, (2, side, side))
    assert torch.equal(turned_by(x, 90 * quarters), x.rot90(-quarters, (2, 3)))


def test_any_picture_turns_upside_down_and_grows_exactly():
    x = pictures(3, (2, 4, 7))
    assert torch.equal(turned_by(x, 180), x.flip(2, 3))
    assert torch.equal(turned_by(x, 0), x)
    odd = pictures(3, (2, 5, 7))
    grown = odd[:, :, 1:4, 2:5].repeat_interleave(3, 2).repeat_interleave(3, 3)
    assert torch.equal(turned_by(odd, 0, 3.0), grown[:, :, 2:7, 1:8])
    assert torch.equal(turned_by(odd, 0, 0.5)[:, :, 1:4, 2:5], odd[:, :, ::2, 1::2])


def test_each_picture_turns_and_grows_by_draws_of_its_own_as_far_as_was_asked(
    monkeypatch: pytest.MonkeyPatch,
):
    drawn, count = list[Tensor](), 4_000

    def noted(rows: Tensor, columns: Tensor, angle: Tensor, scale: Tensor) -> tuple[Tensor, ...]:
        drawn.extend(
            (angle.flatten().double().rad2deg() / 30, (scale.flatten().double() - 1) / 0.2)
        )
        return turned(rows, columns, angle, scale)

    monkeypatch.setattr(augmentation, "turned", noted)
    x = pictures(1).expand(count, -1, -1, -1)
    Augmentation(rotate=30.0, zoom=0.2)(x, stream(0, "moves"))
    for share in drawn:
        assert share.abs().max() <= 1.0001
        assert_mean(share, 0.0)
        assert_mean(share.square(), 1 / 3)
        assert_rejected(lambda share=share: assert_mean(share.abs(), 0.0))
    assert_mean(drawn[0] * drawn[1], 0.0)


def test_what_is_turned_keeps_the_values_of_the_data_and_depends_on_its_draws_alone():
    x = (torch.rand(50, 1, 9, 9, generator=stream(0, "values")) * 4).floor()
    x[:, :, 4, 4] = math.nan
    augment = Augmentation(True, 1, 20.0, 0.2)
    found, again = (augment(x, stream(0, "moves")) for _ in range(2))
    assert set(found[~found.isnan()].tolist()) == {0.0, 1.0, 2.0, 3.0}
    assert found.isnan().flatten(1).any(1).all()
    assert torch.equal(found.nan_to_num(-1), again.nan_to_num(-1))
    assert not torch.equal(found.nan_to_num(-1), augment(x, stream(1, "moves")).nan_to_num(-1))


def test_missing_values_move_along():
    x = pictures(200, (1, 4, 4))
    x[:, 0, 1, 2] = math.nan
    marked = torch.where(x.isnan(), -1.0, x)
    augment = Augmentation(True, 1, 15.0, 0.1)
    found, same = (augment(values, stream(0, "moves")) for values in (x, marked))
    assert torch.equal(found.isnan(), same == -1)
    assert torch.equal(found[~found.isnan()], same[same != -1])


def test_nothing_is_drawn_for_nothing():
    generator = stream(0, "moves")
    before = generator.get_state()
    x = pictures(2)
    assert Augmentation()(x, generator) is x
    assert torch.equal(generator.get_state(), before)


def new_model(shape: tuple[int, ...]) -> VAE:
    return VAE.from_config(ModelConfig(2, (3,)), shape, generator=stream(0, "weights"))


def batches(part: Part, config: TrainConfig) -> list[Tensor]:
    """Return the batches that the encoder sees in two steps on all rows."""
    model, seen = new_model(tuple(part.images.shape[1:])).train(), list[Tensor]()
    model.encoder.register_forward_pre_hook(lambda encoder, x: seen.append(x[0].clone()))
    step = Step(model, part, new_state(model), config, ObjectiveConfig(), torch.float32)
    for number in range(2):
        step.noise.manual_seed(number)
        step(torch.arange(len(part)), 0.0, 1.0)
    return seen


def test_a_step_moves_its_images_anew_at_every_visit_and_grey_ones_before_they_are_drawn():
    bits = (torch.rand(40, 1, 4, 4, generator=stream(0, "bits")) < 0.5).to(torch.uint8)
    first, second = batches(Part(bits, None), replace(QUICK, shift=1, flip=True))
    assert not torch.equal(first, bits.float())
    assert not torch.equal(first, second)
    grey = torch.full((2_000, 1, 1, 3), 128, dtype=torch.uint8)
    part = Part(grey, None, Binarisation("dynamic", white=255.0))
    drawn = batches(part, replace(QUICK, shift=0, flip=True))[0]
    replicated = batches(part, QUICK)[0]
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    shifted = Augmentation(shift=1)
    x = part.batch(torch.arange(2_000), stream(0, "a"), shifted)
    both = (x[..., 0] == x[..., 1]).double().mean()  # an edge that was drawn before is repeated
    assert abs(both - 0.5) < 4.5 * 0.5 / math.sqrt(2_000)
    assert drawn.shape == replicated.shape


def test_missing_pixels_stay_unseen_where_they_are_moved_to():
    x = torch.rand(100, 1, 3, 4, generator=stream(0, "values"))
    x[:, :, 0, 0] = math.nan
    part = Part(x, None, Binarisation(missing=True))
    found = part.batch(torch.arange(100), stream(0, "a"), Augmentation(True, 1))
    mask = part.seen(found)
    assert mask is not None
    assert torch.equal(mask, ~found.isnan())
    assert (~mask).sum(0)[0].count_nonzero() > 4
    losses = [b.isnan().any() for b in batches(part, replace(QUICK, flip=True, shift=1))]
    assert not any(losses)


def some_pictures() -> Dataset:
    x = torch.rand(30, 1, 4, 6, generator=stream(0, "values")) < 0.5
    return Dataset.from_arrays(x[:20], x[20:])


def test_training_moves_its_images_and_what_is_held_out_stays():
    data = some_pictures()
    ends = list[float]()
    before = data.test.images.clone()
    for config in (QUICK, replace(QUICK, flip=True, shift=2, rotate=20.0, zoom=0.2)):
        model = new_model(data.event_shape)
        state = train(model, data, replace(config, learning_rate=1e-9))
        ends.append(state.history[-1].held_out_elbo or 0.0)
        ends.append(state.history[-1].elbo)
    assert ends[0] == pytest.approx(ends[2], abs=1e-5)
    assert ends[1] != pytest.approx(ends[3], abs=1e-3)
    assert torch.equal(data.test.images, before)


MOVED = replace(QUICK, epochs=4, shift=1, rotate=20.0, augment_until=0.5)


def numbers(model: VAE, state: TrainState) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in mutable_tensors(model, state).items()}


def same_bits(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_after_the_end_of_augmentation_steps_are_those_without_it_bit_for_bit():
    data, ends = some_pictures(), list[dict[str, Tensor]]()
    still = replace(MOVED, shift=0, rotate=0.0, augment_until=1.0)
    for after in (MOVED, still, replace(MOVED, augment_until=1.0)):
        model = new_model(data.event_shape)
        state = new_state(model)
        train(model, data, MOVED, state=state, stop=lambda state=state: state.step == 4)
        assert state.step == 4
        train(model, data, after, state=state)
        ends.append(numbers(model, state))
    assert same_bits(ends[0], ends[1])
    assert not same_bits(ends[0], ends[2])


@pytest.mark.parametrize("steps", [3, 4, 5])
def test_a_stopped_training_goes_on_bit_for_bit_around_the_end_of_augmentation(steps: int):
    data, ends = some_pictures(), list[dict[str, Tensor]]()
    for stopped in (False, True):
        model = new_model(data.event_shape)
        state = new_state(model)
        if stopped:
            train(model, data, MOVED, state=state, stop=lambda state=state: state.step == steps)
        train(model, data, MOVED, state=state)
        ends.append(numbers(model, state))
    assert same_bits(*ends)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"flip": True}, "--flip cannot"),
        ({"shift": 2, "zoom": 0.1}, "--shift 2 cannot"),
        ({"rotate": 7.5}, "--rotate 7.5 cannot"),
        ({"zoom": 0.1}, "--zoom 0.1 cannot"),
    ],
)
def test_a_table_refuses_moves_before_a_run_is_made(tmp_path, options, said):
    np.save(tmp_path / "table.npy", np.random.default_rng(0).normal(size=(40, 6)))
    source = DataConfig(str(tmp_path / "table.npy"))
    data = load_data(source)
    config = Config(source, ModelConfig(2, (3,)), train=replace(QUICK, **options))
    for refused in (
        lambda: train(new_model((6,)), data, config.train),
        lambda: resolve(config, data),
        lambda: Run.create(tmp_path / "run", config, data),
    ):
        with pytest.raises(UsageError, match=f"^{said}") as error:
            refused()
        assert error.value.why.startswith("found rows of shape (6,)")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "options",
    [
        {"shift": -1},
        {"rotate": -1.0},
        {"rotate": 181.0},
        {"zoom": 1.0},
        {"zoom": -0.1},
        {"flip": True, "augment_until": 0.0},
        {"flip": True, "augment_until": 1.1},
        {"augment_until": 0.5},
    ],
)
def test_moves_are_bounded(options: dict[str, Any]):
    with pytest.raises(UsageError, match="cannot be used"):
        TrainConfig(**options)


def test_a_shift_must_leave_something_of_the_pictures():
    data = some_pictures()
    with pytest.raises(UsageError, match="shift must be less than the shorter side") as error:
        train(new_model(data.event_shape), data, replace(QUICK, shift=4))
    assert error.value.why.endswith("of the pictures, 4")
