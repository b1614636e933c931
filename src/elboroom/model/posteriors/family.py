"""The families of the encoder's q(z | x) that a config names."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from elboroom.model.posteriors.density import Density


@dataclass(frozen=True)
class PosteriorFamily:
    """A family of densities whose parameters an encoder computes.

    Attributes:
        sizes: maps D to the number of values of each parameter for a row; the first two have D.
        build: makes the map from these parameters to q, from D and a generator of initial weights.
            The map is a module if it has weights, as a flow has.
        least_weights: maps D to the number of weights of the map, at least.
    """

    sizes: Callable[[int], tuple[int, ...]]
    build: Callable[[int, torch.Generator], Callable[..., Density]]
    least_weights: Callable[[int], int] = lambda latents: 0
