"""Multiplications of a network, and pythae's convolutional networks with a given number of them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

_PRODUCTS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def multiplications(run: Callable[[], object], *networks: nn.Module) -> int:
    """Count the multiplications of the matrix products in `run`, which calls the networks.

    Padding counts as pixels.
    """
    counts = list[int]()

    def count(layer: Any, given: tuple[Tensor], output: Tensor) -> None:
        # each weight of a transposed convolution meets each of its inputs, else each output
        side = given[0] if isinstance(layer, nn.ConvTranspose2d) else output
        counts.append(side.numel() * layer.weight[0].numel())

    layers = [layer for network in networks for layer in network.modules()]
    hooks = [layer.register_forward_hook(count) for layer in layers if isinstance(layer, _PRODUCTS)]
    with torch.no_grad():
        run()
    for hook in hooks:
        hook.remove()
    return sum(counts)
