"""The number of latents z that are decoded together."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from elboroom.model.vae import VAE

# bytes of its widest layer: a processor should find them in its cache again, while a card has the
# memory, and gains by few launches
_HELD = {"cuda": 1 << 30}
_HELD_ELSEWHERE = 12 << 20


def decoded_at_a_time(model: VAE, x: Tensor) -> int:
    """How many z are decoded together, against data like `x` (B, *event): one at the least."""
    layers = (layer for layer in model.decoder.modules() if isinstance(layer, nn.Linear))
    widest = max([x.shape[1:].numel(), *(layer.out_features for layer in layers)])
    return max(1, _HELD.get(x.device.type, _HELD_ELSEWHERE) // (x.element_size() * widest))


def chunks(model: VAE, x: Tensor, z: Tensor) -> Iterator[Tensor]:
    """The rows of x (B, *event) and z (K, B, D), as many at a time as are well decoded together."""
    rows = torch.arange(z.shape[1], device=z.device)
    yield from rows.split(max(1, decoded_at_a_time(model, x) // max(1, len(z))))
