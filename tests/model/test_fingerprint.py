"""The fingerprint is hashed again exactly if the model has changed."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from elboroom.model import fingerprint as module
from elboroom.model.fingerprint import fingerprint


class Extra(nn.Module):
    """Values of several types and shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(6.0).view(2, 3))
        self.register_buffer("seen", torch.tensor([True, False]))
        self.register_buffer("steps", torch.tensor(3))
        self.register_buffer("wave", torch.ones(2, dtype=torch.complex128))
        self.register_buffer("short", torch.ones(3, dtype=torch.bfloat16))
        self.register_buffer("none", torch.empty(0))


def add(model):
    model.weight.data[0, 0] += 1


def write_around_the_version(model):
    model.weight.detach().numpy()[1, 2] = 7.5


def swap(model):
    with torch.no_grad():
        model.weight.copy_(model.weight.flip(1))


def replace(model):
    model.weight = nn.Parameter(model.weight.detach().clone() + 1)


def count(model):
    model.steps += 1


CHANGES = [add, write_around_the_version, swap, replace, count]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_every_change_is_noticed(change):
    model = Extra()
    former, unchanged = deepcopy(model), fingerprint(model)
    change(model)
    changed = fingerprint(model)
    assert changed != unchanged == fingerprint(former)
    assert changed == fingerprint(deepcopy(model))


def test_a_model_that_has_not_changed_is_hashed_once(monkeypatch):
    model, hashed = Extra(), []
    plain = module._hash
    monkeypatch.setattr(module, "_hash", lambda values: hashed.append(1) or plain(values))
    assert fingerprint(model) == fingerprint(model)
    assert hashed == [1]
    add(model)
    assert fingerprint(model) == fingerprint(model)
    assert hashed == [1, 1]


def test_weights_that_count_no_versions_are_hashed_each_time():
    with torch.inference_mode():
        model = nn.Linear(2, 2)
        former = fingerprint(model)
        model.weight.copy_(model.weight.flip(1))
        assert fingerprint(model) != former
