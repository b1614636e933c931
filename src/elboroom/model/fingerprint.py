"""The fingerprint of a model: a hash by which its state is recognised."""

import hashlib

import torch
from torch import Tensor, nn


def fingerprint(model: nn.Module) -> str:
    """Return a hash of a model's weights and buffers: their values, types and shapes, in order.

    A copy of the model has the same, as has one that was saved and loaded, on any device.
    """
    found = hashlib.blake2b(digest_size=16)
    for value in model.state_dict().values():
        if isinstance(value, Tensor):  # an extra state of an own module may be anything
            found.update(f"{value.dtype}{tuple(value.shape)}".encode())
            found.update(_bytes(value))
    return found.hexdigest()


def _bytes(value: Tensor) -> memoryview:
    flat = value.detach().to("cpu").flatten().contiguous()
    return flat.view(torch.uint8).numpy().data
