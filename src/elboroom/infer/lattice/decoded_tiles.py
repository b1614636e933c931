"""Tiles of a lattice as a model decodes them, whatever the data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from elboroom.model.likelihoods import Likelihood
from elboroom.model.linear_algebra import product_grid
from elboroom.model.vae import VAE

SIDE = 16
"""Points along a tile: few enough to follow a posterior, enough for efficient matrix products."""
PROBES = (2, 6, 10, 14)
"""Points along a tile at which the curvature is computed."""


@dataclass(frozen=True)
class DecodedTiles:
    """T tiles with their far borders, which are the starts of others.

    Attributes:
        likelihood: of x given z at each point, (T · 17^D, *event), the points of a tile together.
        information: (T · 4^D, L), h² Σ_d J_di² W_ii: what entry i of the parameter tells about z,
            at the probes.
    """

    likelihood: Likelihood
    information: Tensor

    @classmethod
    def together(
        cls, model: VAE, like: Tensor, spacing: float, tiles: Tensor
    ) -> list["DecodedTiles"]:
        """Decode tiles (T, D) of a lattice in the type of `like`, and return them as one."""
        z = points_of(like, spacing, tiles)
        return [cls._of(model, tiles, model.decoder_output(z.flatten(0, 1)))]

    @classmethod
    def one_by_one(
        cls, model: VAE, like: Tensor, spacing: float, tiles: Tensor
    ) -> list["DecodedTiles"]:
        """Decode the same together, and return each for itself, T = 1."""
        z = points_of(like, spacing, tiles)
        parameters = model.decoder_output(z.flatten(0, 1)).chunk(len(tiles))
        return [cls._of(model, tiles[:1], parameter.clone()) for parameter in parameters]

    @classmethod
    def _of(cls, model: VAE, tiles: Tensor, parameter: Tensor) -> "DecodedTiles":
        at, steps = probes_of(tiles)
        information = model.likelihood(parameter[at]).information().flatten(1)
        changes = torch.stack([parameter[at + s] - parameter[at - s] for s in steps]).flatten(2) / 2
        return cls(model.likelihood(parameter), information * changes.square().sum(0))


Decode = Callable[[Tensor, float, Tensor], Sequence[DecodedTiles]]
"""A function (like, spacing, tiles) → these tiles in their order, together or one by one."""


def points_of(like: Tensor, spacing: float, tiles: Tensor) -> Tensor:
    """Return the points of tiles (T, D) with their far borders, (T, 17^D, D)."""
    borders = _offsets(range(SIDE + 1), tiles.shape[-1], tiles.device)
    return (spacing * (SIDE * tiles[:, None] + borders)).to(like)


def probes_of(tiles: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the probes of tiles (T, D) lie among their points, and the steps around them.

    These are (T · 4^D,), and how many points lie between neighbours along each axis, (D,).
    """
    (count, latents), device = tiles.shape, tiles.device
    steps = (SIDE + 1) ** torch.arange(latents - 1, -1, -1, device=device)
    first = (SIDE + 1) ** latents * torch.arange(count, device=device)
    probes = _offsets(PROBES, latents, device)
    return (first[:, None] + (probes * steps).sum(-1)).flatten(), steps


@cache
def _offsets(along: Sequence[int], latents: int, device: torch.device) -> Tensor:
    """Return the points of a tile that lie at some places along each axis, (n^D, D)."""
    return product_grid(torch.tensor(along, device=device), latents)
