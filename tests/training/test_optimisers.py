"""Adam against PyTorch's own."""

from copy import deepcopy

import torch
from torch import Tensor, nn

from elboroom.training.optimisers import Adam


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 7), nn.Tanh(), nn.Linear(7, 2))


def loss(model: nn.Module, step: int) -> Tensor:
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(step))
    return model(x).square().sum()


def test_its_steps_are_those_of_pytorch_bit_for_bit():
    ours, theirs = network(), network()
    adam, reference = Adam(ours.parameters()), torch.optim.Adam(theirs.parameters(), fused=True)
    for step in range(20):
        reference.param_groups[0]["lr"] = rate = 0.1 / (1 + step)
        reference.zero_grad()
        loss(theirs, step).backward()
        reference.step()
        adam.zero_grad()
        loss(ours, step).backward()
        adam.step(rate)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, other)
        for name, value in reference.state[other].items():
            assert torch.equal(adam.state[mine][name], value)


def test_a_parameter_without_a_gradient_stays_and_counts_no_step():
    model = network()
    before, adam = deepcopy(model), Adam(model.parameters())
    model[0](torch.ones(1, 4)).sum().backward()
    adam.step(0.1)
    assert not torch.equal(model[0].weight, before[0].weight)
    assert torch.equal(model[2].weight, before[2].weight)
    assert [adam.state[layer.weight]["step"].item() for layer in (model[0], model[2])] == [1, 0]


def test_a_frozen_parameter_has_no_moments():
    model = network()
    model[0].requires_grad_(False)
    assert set(Adam(model.parameters()).state) == set(model[2].parameters())
