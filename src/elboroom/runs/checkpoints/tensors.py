"""Tensors as safetensors have them, held against those that they must replace."""

from collections.abc import Mapping
from itertools import chain

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from elboroom.model.vae import VAE
from elboroom.training.state import Snapshot, TrainState, moments, mutable_tensors

_LENGTH = 8  # bytes that give the length of the header
_ENTRY = 1 << 10  # bytes of a header, for each tensor, and once more


def read_tensors(content: bytes, *likes: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file.

    Args:
        content: its bytes.
        likes: tensors of the names, shapes and types that it must have, those of one of them.

    Raises:
        ValueError: it has others, or is no such file.
    """
    length, most = int.from_bytes(content[:_LENGTH], "little"), max(map(_longest_header, likes))
    if length > most:
        raise ValueError(f"its header has {length:,} bytes, of {most:,} at most")
    try:
        found = load(content)
    except (SafetensorError, KeyError) as error:  # KeyError: a type that PyTorch has not
        raise ValueError(f"it is no file of tensors: {error}") from error
    differences = [_difference(found, like) for like in likes]
    if all(differences):
        raise ValueError(differences[0])
    return found


def _difference(found: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> str:
    """The first in which they differ; empty if there is none."""
    for name in {**like, **found}:
        has, wanted = (_described(tensors.get(name)) for tensors in (found, like))
        if has != wanted:
            return f"size mismatch for {name}: it has {has}, the model {wanted}"
    return ""


def largest_file(*likes: Mapping[str, Tensor]) -> int:
    """Bytes that a file of all these tensors has at most."""
    tensors = chain(*(like.values() for like in likes))
    return sum(t.nbytes for t in tensors) + sum(map(_longest_header, likes)) + _LENGTH


def _longest_header(like: Mapping[str, Tensor]) -> int:
    return _ENTRY * (1 + len(like))


def _described(tensor: Tensor | None) -> str:
    return "none" if tensor is None else f"{tensor.dtype} {tuple(tensor.shape)}"


_GOOD = "good:"  # before the names of the last good state


def flat(model: VAE, state: TrainState) -> dict[str, Tensor]:
    """The training state as named tensors, with the last good one where that is another."""
    counts = {"rollbacks": torch.tensor(state.rollbacks)}
    tensors = {"totals": state.totals, **counts, **moments(model, state)}
    if state.last_good is not None:
        tensors[_GOOD + "step"] = torch.tensor(state.last_good.step)
        tensors |= {_GOOD + name: value for name, value in state.last_good.tensors.items()}
    return tensors


def likes(model: VAE, state: TrainState) -> tuple[dict[str, Tensor], ...]:
    """What `flat` may be: without a last good state, with one, and as before rollbacks."""
    old = {"totals": state.totals, **moments(model, state)}
    alone = old | {"rollbacks": torch.tensor(0)}
    good = {"step": torch.tensor(0), **mutable_tensors(model, state)}
    return alone, alone | {_GOOD + name: tensor for name, tensor in good.items()}, old


def restore(model: VAE, state: TrainState, step: int, tensors: dict[str, Tensor]) -> None:
    """Put the state of that step, as `flat` gave it, into `state`."""
    good = {n: tensors.pop(n) for n in list(tensors) if n.startswith(_GOOD)}
    state.step, state.totals = step, tensors.pop("totals")
    state.rollbacks = int(tensors.pop("rollbacks", 0))  # there were none once
    state.last_good = _snapshot(good) if good else None
    parameters = dict(model.named_parameters())
    for key, value in tensors.items():
        name, moment = key.split("|")
        parameter = parameters[name]
        state.optimiser.state[parameter][moment] = value.to(parameter.device)


def _snapshot(tensors: dict[str, Tensor]) -> Snapshot:
    named = {name.removeprefix(_GOOD): value for name, value in tensors.items()}
    return Snapshot(int(named.pop("step")), named)
