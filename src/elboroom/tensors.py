"""Tensors as safetensors have them, held against those that they must replace."""

from collections.abc import Mapping
from itertools import chain

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

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
