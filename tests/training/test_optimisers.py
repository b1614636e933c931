"""Optimisers against PyTorch's own."""

import math
from collections.abc import Callable
from copy import deepcopy
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from elboroom.config import ModelConfig, TrainConfig
from elboroom.errors import UsageError
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.training.optimisers import Adam, Adamax, AdamW, Optimiser, new_optimiser

Pair = tuple[Callable[[nn.Module], Optimiser], Callable[[nn.Module], torch.optim.Optimizer]]


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 7), nn.Tanh(), nn.Linear(7, 2))


def loss(model: nn.Module, step: int) -> Tensor:
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(step))
    return model(x).square().sum()


def matrices(model: nn.Module) -> list[nn.Parameter]:
    return [p for p in model.parameters() if p.ndim > 1]


def torch_adamw(model: nn.Module) -> torch.optim.Optimizer:
    vectors = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": matrices(model)}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, weight_decay=0.3, fused=True)


PAIRS: dict[str, Pair] = {
    "adam": (
        lambda model: Adam(model.parameters()),
        lambda model: torch.optim.Adam(model.parameters(), fused=True),
    ),
    "adamw": (
        lambda model: AdamW(model.parameters(), matrices(model), 0.3),
        torch_adamw,
    ),
    "adamax": (
        lambda model: Adamax(model.parameters()),
        lambda model: torch.optim.Adamax(model.parameters(), foreach=True),
    ),
}
each = pytest.mark.parametrize(("mine", "theirs"), PAIRS.values(), ids=PAIRS)


def elementary(pair: Pair) -> Pair:
    """The same pair with mine by elementary operations."""
    return lambda model: pair[0](model).elementary(), pair[1]


WAYS = PAIRS | {f"{name}, elementary": elementary(pair) for name, pair in PAIRS.items()}
each_way = pytest.mark.parametrize(("mine", "theirs"), WAYS.values(), ids=WAYS)


@each_way
def test_its_steps_are_those_of_pytorch_bit_for_bit(mine, theirs):
    """By elementary operations they are the same but for rounding."""
    ours, other = network(), network()
    optimiser, reference = mine(ours), theirs(other)
    rounded = partial(torch.allclose, rtol=1e-4, atol=1e-6)
    same_as = rounded if optimiser.is_elementary else torch.equal
    for step in range(20):
        rate = 0.1 / (1 + step)
        for group in reference.param_groups:
            group["lr"] = rate
        reference.zero_grad()
        loss(other, step).backward()
        reference.step()
        optimiser.zero_grad()
        loss(ours, step).backward()
        optimiser.step(rate)
    for parameter, same in zip(ours.parameters(), other.parameters(), strict=True):
        assert same_as(parameter, same)
        for name, value in reference.state[same].items():
            assert same_as(optimiser.state[parameter][name], value)


@each_way
def test_a_skipped_step_changes_nothing_whatever_the_gradient(mine, theirs):
    model = network()
    optimiser, steps = mine(model), [0.0, 1.0, 0.0]
    twin = network()
    unskipped = mine(twin)
    for step, skip in enumerate(steps):
        optimiser.zero_grad()
        loss(model, step).backward()
        if skip:
            model[0].weight.grad.fill_(math.nan)
            model[2].weight.grad.fill_(math.inf)
        optimiser.step(0.1, torch.tensor(skip))
        if not skip:
            unskipped.zero_grad()
            loss(twin, step).backward()
            unskipped.step(0.1)
    for parameter, same in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(parameter, same)
        for name, value in unskipped.state[same].items():
            assert torch.equal(optimiser.state[parameter][name], value)


@each_way
def test_a_parameter_without_a_gradient_stays_and_counts_no_step(mine, theirs):
    model = network()
    before, optimiser = deepcopy(model), mine(model)
    model[0](torch.ones(1, 4)).sum().backward()
    optimiser.step(0.1)
    assert not torch.equal(model[0].weight, before[0].weight)
    assert torch.equal(model[2].weight, before[2].weight)
    counts = [optimiser.state[layer.weight]["step"].item() for layer in (model[0], model[2])]
    assert counts == [1, 0]


@each
def test_a_frozen_parameter_has_no_moments(mine, theirs):
    model = network()
    model[0].requires_grad_(False)
    assert set(mine(model).state) == set(model[2].parameters())


@each
def test_an_optimiser_and_its_parameters_are_copied_together(mine, theirs):
    model = network()
    copied, its_optimiser = deepcopy((model, mine(model)))
    for one, optimiser in ((copied, its_optimiser), (model, mine(model))):
        loss(one, 0).backward()
        optimiser.step(0.1)
    assert all(map(torch.equal, model.parameters(), copied.parameters()))


def test_matrices_of_the_networks_decay_and_nothing_else():
    config = ModelConfig(
        2, (3,), normalisation="layer", prior="mixture", components=2, likelihood="gaussian"
    )
    model = VAE.from_config(config, (5,), generator=stream(0, "weights"))
    optimiser = new_optimiser(model, TrainConfig(optimiser="adamw", weight_decay=0.5))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step(0.1)
    shrunk = {n for n, p in model.named_parameters() if torch.equal(p, 0.95 * before[n])}
    kept = {n for n, p in model.named_parameters() if torch.equal(p, before[n])}
    matrices = {n for n in before if n.endswith("weight") and before[n].ndim > 1}
    assert matrices <= shrunk
    assert kept >= before.keys() - matrices
    assert {"encoder.trunk.0.weight", "decoder.trunk.0.weight"} <= matrices
    assert any(name.startswith("prior.") for name in kept)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"weight_decay": 0.1}, "weight_decay must be 0 with --optimiser adam: adamw has it"),
        ({"optimiser": "adamax", "weight_decay": 0.1}, "must be 0 with --optimiser adamax"),
        ({"optimiser": "adamw"}, "must be in (0, 1) with --optimiser adamw; 0.01 is usual"),
        ({"optimiser": "adamw", "weight_decay": math.nan}, "must be in (0, 1)"),
        ({"optimiser": "sgd"}, "must be in ('adam', 'adamw', 'adamax')"),
        ({"clip": 0.0}, "clip must be a positive number"),
        ({"clip": math.inf}, "clip must be a positive number"),
        ({"skip": 0.0}, "skip must be above 0"),
        ({"skip": math.nan}, "skip must be above 0"),
        ({"clip": 5.0, "skip": 5.0}, "clip must be below --skip 5.0"),
        ({"ema": 1.0}, "ema must be in [0, 1)"),
        ({"ema": math.nan}, "ema must be in [0, 1)"),
        ({"shift": -1}, "shift must be 0 or more"),
        ({"learning_rate_warmup": -1.0}, "must be a number, 0 or more"),
        ({"learning_rate_warmup": 1.0, "schedule": "one-cycle"}, "must be 0 with --schedule one-"),
        ({"learning_rate_warmup": math.inf}, "must be a number, 0 or more"),
    ],
)
def test_an_option_that_another_makes_meaningless_is_refused(options, said):
    with pytest.raises(UsageError) as error:
        TrainConfig(**options)
    assert said in str(error.value)
