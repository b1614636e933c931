"""Tensors in safetensors files, checked against the tensors that they replace."""

from collections.abc import Mapping
from dataclasses import astuple
from itertools import chain

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from elboroom.model.vae import VAE
from elboroom.training.state import (
    AVERAGE,
    Snapshot,
    TrainState,
    moments,
    mutable_tensors,
    options_tensors,
)
from elboroom.training.time_plan import TimePlan

_LENGTH = 8  # bytes that give the length of the header
_ENTRY = 1 << 10  # bytes of a header for each tensor, and once more


def read_tensors(content: bytes, *expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Read the tensors of a file.

    Args:
        content: bytes of the file.
        expected: tensors whose names, shapes and types the file must have; one set must fit.

    Raises:
        ValueError: if it has other tensors, or is not a safetensors file.
    """
    length, most = int.from_bytes(content[:_LENGTH], "little"), max(map(_longest_header, expected))
    if length > most:
        raise ValueError(f"the header is {length:,} bytes long; at most {most:,} are allowed")
    try:
        found = load(content)
    except (SafetensorError, KeyError) as error:  # KeyError: a type that PyTorch does not have
        raise ValueError(f"it is not a safetensors file: {error}") from error
    differences = [_difference(found, one) for one in expected]
    if all(differences):
        raise ValueError(differences[0])
    return found


def to_bytes(tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> bytes:
    """Return the content of a file of named tensors."""
    apart, memory = dict[str, Tensor](), set[int]()
    for name, tensor in tensors.items():
        value = tensor.detach().cpu().contiguous()
        # safetensors refuses memory that two names share, as weights that layers share have it.
        shared = value.untyped_storage().data_ptr() in memory
        apart[name] = value.clone() if shared else value
        memory.add(value.untyped_storage().data_ptr())
    return save(apart, metadata)


def _difference(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    """Describe the first tensor that differs; return an empty text if all agree."""
    for name in {**expected, **found}:
        has, wanted = (_describe(tensors.get(name)) for tensors in (found, expected))
        if has != wanted:
            return f"size mismatch for {name}: found {has}; the model expects {wanted}"
    return ""


def largest_file(*expected: Mapping[str, Tensor]) -> int:
    """Return the largest size in bytes of a file with all these tensors."""
    tensors = chain(*(one.values() for one in expected))
    return sum(t.nbytes for t in tensors) + sum(map(_longest_header, expected)) + _LENGTH


def _longest_header(expected: Mapping[str, Tensor]) -> int:
    return _ENTRY * (1 + len(expected))


def _describe(tensor: Tensor | None) -> str:
    return "none" if tensor is None else f"{tensor.dtype} {tuple(tensor.shape)}"


_GOOD = "good:"  # before the names of the last good state
_BEST = "best:"  # before the names of the best weights
_TRAINED = "trained:"  # before the names of the weights, where the model's file has their average


def to_tensors(model: VAE, state: TrainState) -> dict[str, Tensor]:
    """Return the training state as named tensors, with the copies that it holds.

    The model holds its average, if there is one, so that the state holds the weights.
    """
    tensors = _of_state(model, state)
    for prefix, copy in ((_GOOD, state.last_good), (_BEST, state.best)):
        if copy is not None:
            tensors |= _prefixed(prefix, copy.step, copy.tensors)
    return tensors


def expected_tensors(model: VAE, state: TrainState) -> tuple[dict[str, Tensor], ...]:
    """Return what `to_tensors` may give: with the last good state or without, and the best."""
    alone = _of_state(model, state)
    good = _prefixed(_GOOD, 0, mutable_tensors(model, state))
    best = _prefixed(_BEST, 0, model.state_dict())
    return alone, alone | good, alone | best, alone | good | best


def _of_state(model: VAE, state: TrainState) -> dict[str, Tensor]:
    counts = {"rollbacks": torch.tensor(state.rollbacks)}
    if state.plan is not None:
        counts["plan"] = torch.tensor([*astuple(state.plan), state.seconds], dtype=torch.float64)
    options = {
        name.replace(AVERAGE, _TRAINED, 1): value for name, value in options_tensors(state).items()
    }
    return {"totals": state.totals, **counts, **moments(model, state), **options}


def from_tensors(model: VAE, state: TrainState, step: int, tensors: dict[str, Tensor]) -> None:
    """Restore the training state of a step from the tensors that `to_tensors` gave.

    The model, which holds its average if there is one, takes the weights that training goes on
    from.

    Raises:
        ValueError: if the plan of a training by time is not of finite numbers.
    """
    if state.plan is not None and not bool(tensors["plan"].isfinite().all()):
        raise ValueError("its plan of the training has a number that is not finite")
    good, best = _taken(_GOOD, tensors), _taken(_BEST, tensors)
    state.step, state.totals = step, tensors.pop("totals")
    state.rollbacks = int(tensors.pop("rollbacks"))
    state.last_good, state.best = good, best
    if state.plan is not None:
        *plan, state.seconds = tensors.pop("plan").tolist()
        state.plan = TimePlan(*plan)
    for name, value in options_tensors(state).items():
        value.copy_(tensors.pop(name.replace(AVERAGE, _TRAINED, 1)))
    if state.average is not None:
        state.average.in_model = True
        state.average.exchange()
    parameters = dict(model.named_parameters())
    for key, value in tensors.items():
        name, moment = key.split("|")
        # in place: a fused step needs moments in the memory format of their parameter
        state.optimiser.state[parameters[name]][moment].copy_(value)


def _prefixed(prefix: str, step: int, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    named = {"step": torch.tensor(step), **tensors}
    return {prefix + name: value for name, value in named.items()}


def _taken(prefix: str, tensors: dict[str, Tensor]) -> Snapshot | None:
    """Remove the tensors of a copy, and return it; None if there is none."""
    names = [name for name in tensors if name.startswith(prefix)]
    found = {name.removeprefix(prefix): tensors.pop(name) for name in names}
    return Snapshot(int(found.pop("step")), found) if found else None
