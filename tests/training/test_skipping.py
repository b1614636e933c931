"""Clipped gradients, and steps that are skipped since theirs exploded."""

import itertools
import math
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from elboroom.config import ModelConfig, ObjectiveConfig, OptimiserName, TrainConfig
from elboroom.data import Dataset, Part
from elboroom.errors import TrainingError
from elboroom.model.likelihoods import Bernoulli, ObservationModel
from elboroom.model.vae import VAE
from elboroom.randomness import restart, stream
from elboroom.runs import checkpoints
from elboroom.training.loop import train
from elboroom.training.state import TrainState, new_state
from elboroom.training.step import Step, clip_gradients

ROWS, BATCH, EVENT = 40, 4, (1, 3, 4)
CONFIG = TrainConfig(
    epochs=3,
    batch_size=BATCH,
    learning_rate=1e-2,
    evaluate_every=1,
    skip=math.inf,
    device="cpu",
    precision="fp32",
    threads=1,
)
MARKED = 7
Training = tuple[VAE, TrainState]


def order(epoch: int) -> list[Tensor]:
    rows = torch.randperm(ROWS, generator=stream(0, "order", epoch))
    return list(rows.split(BATCH))


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Return random bits, ten steps an epoch; the first is 1 in the marked row alone.

    The second is 1 in the first row of the epoch's last step alone.
    """
    x = (torch.rand(ROWS + 20, *EVENT, generator=stream(0, "bits")) < 0.5).to(torch.uint8)
    x[:, 0, 0, :2] = 0
    x[MARKED, 0, 0, 0] = 1
    x[order(0)[-1][0], 0, 0, 1] = 1
    return Dataset.from_arrays(x[:ROWS], x[ROWS:])


class Spoilt(Bernoulli):
    """Bernoulli pixels; the density of the marked row is multiplied by `factor`."""

    factor = math.nan

    def log_prob(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        value = super().log_prob(x, mask)
        return value * torch.where(x.flatten(1)[:, 0] == 1, self.factor, 1.0)


class Steep(Spoilt):
    """The gradient of the marked row is 10,000 times as large, and its value is finite."""

    factor = 1e4


class Huge(Spoilt):
    """The gradient of the marked row is finite, and its square is not."""

    factor = 1e30


def new_training(config: TrainConfig = CONFIG, kind: type[Bernoulli] = Spoilt) -> Training:
    options = ModelConfig(2, (8,), normalisation="batch")
    model = VAE.from_config(options, EVENT, generator=stream(0, "weights"))
    model.likelihood = ObservationModel(kind)
    return model, new_state(model, config)


def trained(
    data: Dataset, config: TrainConfig = CONFIG, kind: type[Bernoulli] = Spoilt, **hooks: Any
) -> Training:
    training = new_training(config, kind)
    return training[0], train(training[0], data, config, state=training[1], **hooks)


def without_marked(
    data: Dataset, config: TrainConfig, kind: type[Bernoulli]
) -> tuple[Training, list[Tensor]]:
    """Take all steps by hand, but those on the marked row, and return the totals of each epoch."""
    plain = replace(config, skip=None)
    model, state = new_training(plain, kind)
    step = Step(model.train(), data.train, state, plain, ObjectiveConfig(), torch.float32)
    epochs = list[Tensor]()
    for epoch in range(config.resolved_epochs):
        totals = torch.zeros(3)
        for place, rows in enumerate(order(epoch)):
            if MARKED not in rows:
                restart(step.noise, 0, "step", 10 * epoch + place)
                totals += step(rows, 1e-2, 1.0)
        epochs.append(totals)
    if state.average is not None:
        state.average.exchange()
    return (model.eval(), state), epochs


def numbers(training: Training) -> list[Tensor]:
    model, state = training
    moments = [value for of in state.optimiser.state.values() for value in of.values()]
    average = [] if state.average is None else [*state.average.tensors.values()]
    return [t.detach().clone() for t in [*model.state_dict().values(), *moments, *average]]


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return len(a) == len(b) and all(map(torch.equal, a, b))


@pytest.mark.parametrize(
    ("optimiser", "kind", "skip"),
    [
        ("adam", Spoilt, math.inf),
        ("adam", Huge, math.inf),
        ("adamw", Steep, 1e3),
        ("adamax", Spoilt, math.inf),
        ("adamax", Steep, 1e3),
    ],
)
def test_a_skipped_step_is_as_if_it_had_never_been(
    data: Dataset, optimiser: OptimiserName, kind: type[Bernoulli], skip: float
):
    decay = 0.1 if optimiser == "adamw" else 0.0
    config = replace(CONFIG, optimiser=optimiser, weight_decay=decay, skip=skip, ema=0.9, clip=50.0)
    found = trained(data, config, kind)
    expected, totals = without_marked(data, config, kind)
    assert same(numbers(found), numbers(expected))
    history = found[1].history
    assert [m.skipped for m in history] == [1, 1, 1]
    for metrics, sums in zip(history, totals, strict=True):
        mean = (sums / (ROWS - BATCH)).tolist()
        assert [metrics.bound, metrics.reconstruction, metrics.kl] == pytest.approx(mean)
    assert found[1].rollbacks == 0


@pytest.mark.parametrize("steps", [3, 14])
def test_a_stopped_run_resumes_from_its_checkpoint_with_its_counts(
    data: Dataset, tmp_path: Path, steps: int
):
    config = replace(CONFIG, optimiser="adamax", ema=0.9)
    whole, asked = trained(data, config), itertools.count()
    half = trained(data, config, stop=lambda: next(asked) >= steps)
    checkpoints.write(tmp_path, checkpoints.capture(*half))
    resumed = new_training(config)
    checkpoints.load(tmp_path, *resumed)
    resumed[1].history = half[1].history
    train(resumed[0], data, config, state=resumed[1])
    assert same(numbers(resumed), numbers(whole))
    assert [m.skipped for m in resumed[1].history] == [1, 1, 1]
    assert [m.bound for m in resumed[1].history] == [m.bound for m in whole[1].history]


def test_a_bound_that_is_not_finite_for_a_finite_gradient_rolls_back(data: Dataset):
    """Such a step is not skipped; the one that is skipped before it is not to blame."""

    class Unbounded(Spoilt):
        def log_prob(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
            marked = (x.flatten(1)[:, 1] == 1) & (state.rollbacks == 0)
            return super().log_prob(x, mask) + torch.where(marked, -math.inf, 0.0)

    config = replace(CONFIG, epochs=1, ema=0.5)
    model, state = new_training(config, Unbounded)
    assert MARKED not in order(0)[-1]
    said = r"^at step 9 of epoch 1, the reconstruction term is -inf.* from step 0 with 0\.5 of its"
    with pytest.warns(UserWarning, match=said):
        train(model, data, config, state=state)
    halved = replace(config, learning_rate=0.5e-2)
    again = new_training(halved)
    train(again[0], data, halved, state=again[1])
    assert same(numbers((model, state)), numbers(again))
    assert state.average is not None
    assert state.average.steps == 9
    assert [m.skipped for m in state.history] == [1]


def test_a_limit_below_every_norm_ends_training_with_the_norm(data: Dataset):
    training = new_training(replace(CONFIG, skip=1e-3), Bernoulli)
    before = numbers(training)
    for _ in "again":
        with pytest.raises(TrainingError) as error:
            train(training[0], data, replace(CONFIG, skip=1e-3), state=training[1])
        assert error.value.what == "every step from 0 to 9 was skipped"
        assert "above --skip 0.001, or not finite; that of the last was " in (error.value.why or "")
        assert same(numbers(training), before)
        assert (training[1].step, training[1].last_good) == (0, None)


def test_a_last_step_may_be_skipped_alone(data: Dataset):
    """A check may be of that step alone, where a hundred were before it."""
    x = data.train.x.repeat(11, 1, 1, 1)[: 101 * BATCH]
    x[:, 0, 0, 0] = 0
    last = torch.randperm(len(x), generator=stream(0, "order", 0)).split(BATCH)[-1]
    x[last[0], 0, 0, 0] = 1
    longer = replace(data, train=Part(x.to(torch.uint8), None))
    state = trained(longer, replace(CONFIG, epochs=1))[1]
    assert state.history[0].skipped == 1


def test_without_an_explosion_skipping_changes_nothing(data: Dataset):
    with_skip, without = (
        trained(data, replace(CONFIG, skip=skip), Bernoulli) for skip in (1e6, None)
    )
    assert same(numbers(with_skip), numbers(without))
    assert [m.bound for m in with_skip[1].history] == [m.bound for m in without[1].history]
    assert [m.skipped for m in with_skip[1].history] == [0, 0, 0]


@pytest.mark.parametrize("most", [0.1, 3.0, 1e3])
def test_gradients_are_clipped_as_pytorch_does(most: float):
    def layer() -> torch.nn.Linear:
        made = torch.nn.Linear(3, 4)
        for parameter, seed in zip(made.parameters(), (0, 1), strict=True):
            generator = torch.Generator().manual_seed(seed)
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        return made

    mine, theirs = layer(), layer()
    gradients = [p.grad for p in mine.parameters() if p.grad is not None]
    clip_gradients(gradients, get_total_norm(gradients), most)
    torch.nn.utils.clip_grad_norm_(theirs.parameters(), most)
    for a, b in zip(mine.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=2e-5 / most, atol=0)


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e30])
def test_clipping_hides_no_gradient_that_is_not_finite_or_too_large(value: float):
    gradients = [torch.ones(2), torch.tensor([0.0, value])]
    clip_gradients(gradients, get_total_norm(gradients), 1.0)
    assert all(gradient.isnan().all() for gradient in gradients)


def test_a_clipped_step_descends_along_the_scaled_gradient(data: Dataset):
    config = replace(CONFIG, clip=0.5, skip=None)
    model, state = new_training(config, Bernoulli)
    twin = deepcopy(model)
    step = Step(model.train(), data.train, state, config, ObjectiveConfig(), torch.float32)
    rows = torch.arange(8, 20)
    restart(step.noise, 0, "step", 0)
    step.gradients(rows, 1.0)
    norm = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]).norm()
    assert norm > 0.5
    step.descend(0.1)
    for parameter, before in zip(model.parameters(), twin.parameters(), strict=True):
        assert parameter.grad is not None
        # the first step of Adam is the sign of the gradient, up to its ε
        moved = 0.1 * parameter.grad / (parameter.grad.abs() + 1e-8)
        torch.testing.assert_close(parameter, before - moved, rtol=1e-4, atol=1e-6)
    clipped = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]).norm()
    assert clipped == pytest.approx(0.5)
