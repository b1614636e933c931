"""Rollback: training returns to its last finite state, and names what was not finite."""

import itertools
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from elboroom.config import ModelConfig, ObjectiveConfig, TrainConfig
from elboroom.data import Dataset, Identity, Part
from elboroom.errors import TrainingError
from elboroom.model.likelihoods import Bernoulli, ObservationModel
from elboroom.model.vae import VAE
from elboroom.randomness import restart, stream
from elboroom.runs import checkpoints
from elboroom.training.loop import train
from elboroom.training.safeguards.rollback import Rollback
from elboroom.training.schedule import Schedule
from elboroom.training.state import TrainState, new_state
from elboroom.training.step import Step

ROWS, BATCH, EVENT = 300, 2, (1, 3, 4)
QUICK = TrainConfig(
    epochs=2,
    batch_size=BATCH,
    learning_rate=1e-2,
    schedule="cosine",
    warmup=0.5,
    device="cpu",
    precision="fp32",
    threads=1,
)
FAULT = 120  # the step that visits the marked image first; checks are at steps 100 and 150
MARKED = int(torch.randperm(ROWS, generator=stream(0, "order", 0))[FAULT * BATCH])
SAID = (
    "at step 120 of epoch 1, the reconstruction term is nan, though the output of every layer is "
    f"finite (rows {MARKED} of the training part, 1 of 2 in the batch)"
)
Training = tuple[VAE, TrainState]


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Random bits; the first of them is 1 in the marked image alone."""
    x = (torch.rand(ROWS + 20, *EVENT, generator=stream(0, "bits")) < 0.5).to(torch.uint8)
    x[:, 0, 0, 0] = 0
    x[MARKED, 0, 0, 0] = 1
    identity = Identity("random", "0", "none", "standard", 20)
    return Dataset(identity, Part(x[:ROWS], None), None, Part(x[ROWS:], None))


class Trap:
    """Bernoulli pixels, where the density of the marked image is NaN while the trap is armed."""

    def __init__(self, armed: Callable[[], bool]) -> None:
        self.armed = armed

    def __call__(self, logits: Tensor) -> "Trap":
        self.logits = logits
        return self

    def log_prob(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        value = Bernoulli(self.logits).log_prob(x, mask)
        marked = x.flatten(1)[:, 0] == 1
        armed = marked.any() and self.armed()
        return value * torch.where(marked, math.nan, 1.0) if armed else value


def new_training(faults: int = 0) -> Training:
    """A model whose trap is armed until so many rollbacks, and its state."""
    model = VAE.from_config(ModelConfig(2, (8,)), EVENT, generator=stream(0, "weights"))
    state = new_state(model)
    model.likelihood = ObservationModel(Trap(lambda: state.rollbacks < faults))  # type: ignore[arg-type]
    return model, state


def trained(data: Dataset, training: Training, **hooks: Any) -> Training:
    return training[0], train(training[0], data, QUICK, state=training[1], **hooks)


def by_hand(data: Dataset, training: Training, until: int, share: float = 1.0) -> Training:
    """Take steps without any check."""
    model, state = training
    step = Step(model.train(), data.train, state, QUICK, ObjectiveConfig(), torch.float32)
    for number in range(state.step, until):
        epoch, place = divmod(number, ROWS // BATCH)
        rows = torch.randperm(ROWS, generator=stream(0, "order", epoch)).split(BATCH)[place]
        restart(step.noise, 0, "step", number)
        rate = 1e-2 * 0.5 * (1 + math.cos(math.pi * (number / 300)))
        step(rows, share * rate, min(1.0, number / 75))
    state.step = until
    return training


def content(training: Training) -> list[Tensor]:
    """Every number of the weights and the moments."""
    model, state = training
    moments = [value for of in state.optimiser.state.values() for value in of.values()]
    return [t.detach().clone() for t in [*model.parameters(), *moments]]


def same_bits(a: Training, b: Training) -> bool:
    return all(torch.equal(x, y) for x, y in zip(content(a), content(b), strict=True))


def quietly(run: Callable[[], Training]) -> tuple[Training, list[str]]:
    """What `run` returns, and the warnings that it gave."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        return run(), [str(warning.message) for warning in found]


@pytest.fixture(scope="module")
def recovered(data: Dataset) -> tuple[Training, list[str]]:
    """A run of two epochs with one fault in it."""
    return quietly(lambda: trained(data, new_training(faults=1)))


def test_without_a_fault_training_is_the_same_as_without_checks(data: Dataset):
    guarded, plain = trained(data, new_training()), by_hand(data, new_training(), 300)
    assert same_bits(guarded, plain)
    assert (guarded[1].rollbacks, guarded[1].last_good) == (0, None)


def test_a_fault_is_named_by_step_epoch_term_and_image(recovered: tuple[Training, list[str]]):
    assert recovered[1] == [
        f"{SAID}. Training continues from step 100 with 0.5 of its learning rate: rollback 1 of 5."
    ]


def test_after_a_fault_training_resumes_from_the_last_check_at_half_the_rate(
    data: Dataset, recovered: tuple[Training, list[str]]
):
    before = by_hand(data, new_training(), 100)
    assert same_bits(recovered[0], by_hand(data, before, 300, share=0.5))
    state = recovered[0][1]
    assert (state.rollbacks, state.last_good, state.step) == (1, None, 300)
    assert state.history[-1].learning_rate == 0.5 * Schedule(QUICK, data.train).step(299)[1]
    assert all(math.isfinite(m.elbo) for m in state.history)


def test_the_epoch_of_a_fault_counts_each_image_once(
    data: Dataset, recovered: tuple[Training, list[str]]
):
    plain = trained(data, new_training())[1].history
    # another rate leads elsewhere, but not to twice the terms
    assert recovered[0][1].history[0].elbo == pytest.approx(plain[0].elbo, rel=0.05)


@pytest.mark.parametrize("steps", [50, 100, 110, 121, 150, 180, 299])
def test_a_run_that_is_stopped_near_a_fault_resumes_as_if_it_had_not_been(
    data: Dataset, recovered: tuple[Training, list[str]], tmp_path: Path, steps: int
):
    def run() -> Training:
        asked = itertools.count()
        half = trained(data, new_training(faults=1), stop=lambda: next(asked) >= steps)
        assert half[1].step == (100 if 120 < steps <= 150 else steps - 50 * (steps > 150))
        assert all(tensor.isfinite().all() for tensor in content(half))
        checkpoints.write(tmp_path, checkpoints.capture(*half))
        resumed = new_training(faults=1)
        checkpoints.load(tmp_path, *resumed)
        return trained(data, resumed)

    resumed, said = quietly(run)
    assert same_bits(resumed, recovered[0])
    assert (resumed[1].rollbacks, said) == (1, recovered[1])


def test_a_checkpoint_between_a_fault_and_the_check_that_finds_it_is_rolled_back_too(
    data: Dataset, recovered: tuple[Training, list[str]], tmp_path: Path
):
    training = new_training(faults=1)

    def stop() -> bool:
        if training[1].step == 130 and not training[1].rollbacks:
            checkpoints.write(tmp_path, checkpoints.capture(*training))
        return training[1].rollbacks > 0

    quietly(lambda: trained(data, training, stop=stop))
    resumed = new_training(faults=1)
    assert checkpoints.load(tmp_path, *resumed) == 130
    assert not all(tensor.isfinite().all() for tensor in content(resumed))
    assert same_bits(quietly(lambda: trained(data, resumed))[0], recovered[0])


def test_after_five_rollbacks_training_ends_at_the_last_good_state(data: Dataset):
    training = new_training(faults=99)
    with pytest.raises(TrainingError) as error, pytest.warns(match="rollback") as found:
        trained(data, training)
    assert str(error.value) == (
        "training cannot continue from step 100\n"
        f"  why: {SAID}, after 5 rollbacks\n"
        "  fix: look at those rows and that layer, or train a new run with a lower "
        "--learning-rate, a --warmup of the KL, or --precision fp32"
    )
    assert [str(w.message).split("step 100 ")[1] for w in found] == [
        f"with {0.5**i:g} of its learning rate: rollback {i} of 5." for i in range(1, 6)
    ]
    assert (training[1].rollbacks, training[1].step) == (5, 100)
    assert not training[0].training
    assert same_bits(training, by_hand(data, new_training(), 100))


def test_a_fault_that_is_not_reproduced_is_named_by_the_tensor_that_it_reached(data: Dataset):
    calls = itertools.count()
    training = new_training()
    trap = Trap(lambda: next(calls) == 0)
    training[0].likelihood = ObservationModel(trap)  # type: ignore[arg-type]
    found, said = quietly(lambda: trained(data, training))
    assert said == [
        "at step 150 of epoch 1, the bound is not finite, though every step was "
        "finite when it was repeated. Training continues from step 100 with 0.5 of its learning "
        "rate: rollback 1 of 5."
    ]
    assert all(tensor.isfinite().all() for tensor in content(found))


def test_the_device_is_waited_for_every_hundred_steps_and_at_the_end_of_an_epoch(
    data: Dataset, monkeypatch: pytest.MonkeyPatch
):
    looks, training, look = list[int](), new_training(), Rollback.check

    def seen(guard: Rollback) -> bool:
        looks.append(guard.state.step)
        return look(guard)

    monkeypatch.setattr(Rollback, "check", seen)
    trained(data, training)
    assert looks == [100, 150, 250, 300]


class Root(nn.Module):
    """x → √x², whose derivative at 0 is 0 / 0."""

    def forward(self, x: Tensor) -> Tensor:
        return x.square().sqrt()


class Steep(nn.Module):
    """x → x + 10³⁰ w, at w = 0: a finite derivative, whose square is not."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return x + 1e30 * self.weight


def with_infinite_weight(model: VAE) -> None:
    model.get_parameter("encoder.trunk.2.weight").data[0, 0] = math.inf


def with_wide_posterior(model: VAE) -> None:
    model.get_parameter("encoder.trunk.2.bias").data[2:] = 100.0  # log σ


def with_root(model: VAE) -> None:
    trunk = model.get_submodule("decoder.trunk")
    trunk.append(Root())  # type: ignore[operator]
    for parameter in trunk[2].parameters():  # type: ignore[index]
        parameter.data.zero_()


def with_steep(model: VAE) -> None:
    model.get_submodule("decoder.trunk").append(Steep())  # type: ignore[operator]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            with_infinite_weight,
            "the KL is inf; encoder.trunk.2 (Linear) is the first layer whose output is not finite",
        ),
        (
            with_wide_posterior,
            "the reconstruction term is nan and the KL is inf; decoder.trunk.0 "
            "(Linear) is the first layer whose output is not finite",
        ),
        (
            with_root,
            "the gradient that reaches decoder.trunk.2 (Linear) is not finite, though the bound is",
        ),
        (
            with_steep,
            "the gradient of decoder.trunk.3.weight is not finite or too large, "
            "though the bound is finite",
        ),
    ],
)
def test_a_fault_before_any_step_ends_training_at_once_and_names_the_layer(
    data: Dataset, spoil: Callable[[VAE], None], said: str
):
    model, _ = new_training()
    spoil(model)
    training = model, new_state(model)
    before = content(training)
    rows = torch.randperm(ROWS, generator=stream(0, "order", 0))[:BATCH].tolist()
    with pytest.raises(TrainingError) as error:
        trained(data, training)
    assert str(error.value).split("\n")[:2] == [
        "training cannot continue from step 0",
        f"  why: at step 0 of epoch 1, {said} (rows {rows[0]}, {rows[1]} of the training part, "
        "2 of 2 in the batch), whatever the learning rate",
    ]
    assert all(torch.equal(a, b) for a, b in zip(before, content(training), strict=True))
    assert not any(module._forward_hooks for module in model.modules())
