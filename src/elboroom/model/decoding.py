"""The number of z that are decoded together, and the values that one of them decodes to."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from elboroom.model.networks import decoder_network
from elboroom.model.vae import VAE

# Bytes of the widest activation. On a CPU it should stay in the cache; a GPU has the memory, and
# gains from few launches.
_BUDGET = {"cuda": 1 << 30}
_BUDGET_ELSEWHERE = 12 << 20


def decoded_at_a_time(model: VAE, x: Tensor) -> int:
    """Return how many z to decode together against data like `x` (B, *event), at least one."""
    size = x.element_size() * values_of_one(model, x)
    return max(1, _BUDGET.get(x.device.type, _BUDGET_ELSEWHERE) // size)


def values_of_one(model: VAE, x: Tensor) -> int:
    """Return the largest number of values that x (B, *event) or a layer has for one z."""
    outer = x.shape[1:].numel(), math.prod(model.parameter_shape)
    decoder = decoder_network(model.decoder)
    return max(*outer, decoder.widest_activation, model.widest_activation)


def values_in_passes(model: VAE, *, of_layers: bool) -> float:
    """Return how many values of one z are computed in passes besides matrix products.

    Compiling merges these passes.

    Args:
        model: the model.
        of_layers: True to count those between the layers of the decoder.
    """
    decoder = decoder_network(model.decoder)
    outputs = decoder.values_outside_products(model.parameter_shape)
    return outputs * model.likelihood.density.passes + of_layers * decoder.values_of_layers


def chunks(model: VAE, x: Tensor, z: Tensor) -> Iterator[Tensor]:
    """Split the rows of x (B, *event) and z (K, B, D) into parts that are decoded together."""
    rows = torch.arange(z.shape[1], device=z.device)
    yield from rows.split(max(1, decoded_at_a_time(model, x) // max(1, len(z))))
