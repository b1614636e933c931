"""What several methods make of the same posterior: the arrays behind the figures that compare."""

from typing import cast

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from elboroom import figures
from elboroom.config import MethodName
from elboroom.infer.grid import GridPosterior, grid
from elboroom.infer.methods import infer_each
from elboroom.infer.posterior import VariationalPosterior
from elboroom.model.posteriors import Density, Gaussian
from elboroom.model.vae import VAE

_DENSITIES: tuple[MethodName, ...] = ("encoder", "svi", "laplace")
_BEYOND_THE_PLANE: tuple[MethodName, ...] = ("hmc", *_DENSITIES[::-1])
_POINTS = 161
_DEPTH = 12.0  # nats below the maximum that a panel reaches
_DRAWS = 2_000
_DIMENSIONS = 5


def in_the_plane(model: VAE, x: Tensor, mask: Tensor, *, generator: torch.Generator) -> Figure:
    """The true posterior of each row beside fits to it, with the exact KL of each, for D = 2."""
    exact = grid(model, x, mask, generator=generator)
    posteriors = infer_each(_DENSITIES, model, x, mask, generator=generator)
    fits = cast(dict[str, VariationalPosterior], posteriors)
    axes = frames(exact, torch.cat([ends(fits["svi"].q), ends(fits["laplace"].q)]))
    tables = {name: table(fit, axes) for name, fit in fits.items()}
    kl = {name: exact.kl(fit.q).numpy() for name, fit in fits.items()}
    z1, z2 = axes.numpy().transpose(1, 0, 2)
    return figures.posteriors(z1, z2, table(exact, axes), tables, kl, x.numpy(), mask.numpy())


def ends(q: Density) -> Tensor:
    """Four standard deviations to either side of a Gaussian's mean, (2, B, D)."""
    spread = 4 * cast(Gaussian, q).covariance.diagonal(dim1=-1, dim2=-2).sqrt()
    return torch.stack([q.mean - spread, q.mean + spread])


def frames(exact: GridPosterior, wide: Tensor) -> Tensor:
    """Axes (B, 2, n) that hold the likely points of each row, and points `wide` (N, B, 2)."""
    axes = []
    for row in range(len(exact.target)):
        points, log_joint = exact.cells.of(row)
        held = torch.cat([points[log_joint >= log_joint.max() - _DEPTH], wide[:, row]])
        low, high = held.min(0).values, held.max(0).values
        axes.append(torch.stack([torch.linspace(low[d], high[d], _POINTS) for d in range(2)]))
    return torch.stack(axes)


def table(density: GridPosterior | VariationalPosterior, axes: Tensor) -> np.ndarray:
    """The log-density of each row in nats on its own axes (B, 2, n), (B, n, n)."""
    z = torch.stack([torch.cartesian_prod(*own) for own in axes], 1)
    return density.log_prob(z).T.reshape(len(axes), _POINTS, _POINTS).numpy()


def beyond_the_plane(model: VAE, x: Tensor, mask: Tensor, *, generator: torch.Generator) -> Figure:
    """Draws of one row's posterior (1, *event) by several methods, for D > 2.

    Shown are the few latents of which the seen pixels tell most.
    """
    posteriors = infer_each(_BEYOND_THE_PLANE, model, x, mask, generator=generator)
    draws = {name: p.sample(_DRAWS)[:, 0] for name, p in posteriors.items()}
    told = draws["hmc"].std(0).argsort()[:_DIMENSIONS].sort().values
    labels = [f"z{_subscript(int(d) + 1)}" for d in told]
    shown = {name: z[:, told].numpy() for name, z in draws.items()}
    return figures.corner(shown, axis_labels=labels)


def _subscript(number: int) -> str:
    return str(number).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
