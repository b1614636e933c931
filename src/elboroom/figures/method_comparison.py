"""One posterior as several methods find it: computes the arrays of the figures that compare."""

from functools import partial

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from elboroom import figures
from elboroom.config import MethodName
from elboroom.figures.plots.style import latent_name
from elboroom.infer.grid import GridPosterior, grid
from elboroom.infer.hmc import HMCPosterior, hmc
from elboroom.infer.methods import infer_each
from elboroom.infer.posterior import Posterior
from elboroom.model.posteriors import MOST_DENSE, Density
from elboroom.model.vae import VAE
from elboroom.randomness import fork

_FITS: tuple[MethodName, ...] = ("encoder", "svi", "laplace")
_POINTS = 161  # along an axis
_DEPTH = 12.0  # nats below the maximum that a panel shows
_DRAWS = 2_000
_DIMENSIONS = 5
_SHORT_CHAINS = {"warmup": 100, "draws": 200}  # a minute for a ladder of a thousand latents


def compare_in_plane(
    model: VAE,
    x: Tensor,
    mask: Tensor,
    *,
    generator: torch.Generator,
    caption: str | None = None,
    value_range: tuple[float, float] | None = None,
) -> Figure:
    """Draw the true posterior of each row and fits to it with the exact KL of each, for D = 2."""
    exact = grid(model, x, mask, generator=generator)
    posteriors = infer_each(_fits(model), model, x, mask, generator=generator)
    fits = {name: p.q for name, p in posteriors.items() if p.q is not None}
    ends = [four_sigma_ends(fits[name]) for name in ("svi", "laplace")]
    axes = panel_axes(exact, torch.cat(ends))
    tables = {name: log_density_table(q, axes) for name, q in fits.items()}
    kl = {name: exact.kl(q) for name, q in fits.items()}
    z1, z2 = axes.numpy().transpose(1, 0, 2)
    truth = log_density_table(exact, axes)
    arrays = (z1, z2, truth, tables, kl, x, mask)
    return figures.posteriors(*arrays, caption=caption, value_range=value_range)


def _fits(model: VAE) -> tuple[MethodName, ...]:
    """Return the names of the methods that are compared: the partial encoder where there is one."""
    return _FITS if model.partial_encoder is None else ("partial-encoder", *_FITS)


def four_sigma_ends(q: Density) -> Tensor:
    """Return the points four standard deviations below and above a Gaussian's mean, (2, B, D)."""
    assert q.covariance is not None, "a Gaussian knows its covariance"
    distance = 4 * q.covariance.diagonal(dim1=-1, dim2=-2).sqrt()
    return torch.stack([q.mean - distance, q.mean + distance])


def panel_axes(exact: GridPosterior, points: Tensor) -> Tensor:
    """Return axes (B, 2, n) that span the likely z of each row and its `points` (N, B, 2)."""
    axes = []
    for row in range(len(exact.target)):
        z, log_joint = exact.cells.of(row)
        likely = z[log_joint >= log_joint.max() - _DEPTH]
        shown = torch.cat([likely, points[:, row]])
        low, high = shown.min(0).values, shown.max(0).values
        axes.append(torch.stack([torch.linspace(low[d], high[d], _POINTS) for d in range(2)]))
    return torch.stack(axes)


def log_density_table(density: GridPosterior | Density, axes: Tensor) -> np.ndarray:
    """Compute the log-density of each row in nats on its own axes (B, 2, n), (B, n, n)."""
    z = torch.stack([torch.cartesian_prod(*own) for own in axes], 1)
    return density.log_prob(z).T.reshape(len(axes), _POINTS, _POINTS).numpy()


def compare_beyond_plane(
    model: VAE,
    x: Tensor,
    mask: Tensor,
    *,
    generator: torch.Generator,
    caption: str | None = None,
) -> Figure:
    """Draw one row's posterior (1, *event) as several methods find it, for D > 2.

    The figure shows the latents with the smallest posterior standard deviation, at most five. The
    reference is HMC, and the caption says how well its chains have mixed.
    """
    noise = fork(generator)
    sampler = partial(hmc, **_SHORT_CHAINS) if model.latents > MOST_DENSE else hmc
    chains = sampler(model, x, mask, generator=noise.clone_state())
    others = infer_each(_fits(model)[::-1], model, x, mask, generator=noise)
    posteriors: dict[MethodName, Posterior] = {"hmc": chains, **others}
    draws = {name: p.sample(_DRAWS)[:, 0] for name, p in posteriors.items()}
    shown = draws["hmc"].std(0).argsort()[:_DIMENSIONS].sort().values
    labels = [latent_name(int(d)) for d in shown]
    shown_draws = {name: z[:, shown] for name, z in draws.items()}
    caption = "; ".join(filter(None, [caption, _mixing(chains)]))
    return figures.corner(shown_draws, axis_labels=labels, caption=caption)


def _mixing(chains: HMCPosterior) -> str:
    """Return words for how well the chains of one row agree, by its worst latent."""
    length, count, *_ = chains.draws.shape
    verdict = "" if chains.converged else " not"
    return (
        f"hmc, {count} × {length:,} draws, has{verdict} converged: R̂ {float(chains.rhat):.3f}, "
        f"effective sample size {float(chains.ess):,.0f}"
    )
