"""Proposals: densities that are drawn from together, and that share the weight of every draw."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.infer.fitting.modes import laplace_at_each
from elboroom.infer.laplace import laplace
from elboroom.infer.posterior import Posterior
from elboroom.infer.sir import widening_for_half_ess
from elboroom.infer.target import Target
from elboroom.model.posteriors import Density, GaussianMixture
from elboroom.model.vae import VAE

_STARTS = 4
_KERNELS = 32
_AT_A_TIME = 1 << 22  # numbers z − μ that are held together, about


@dataclass(frozen=True)
class Proposals:
    """M densities of each row, each drawn from equally often.

    The weight of a draw is f(z) / (1/M Σ_m q_m(z)), whichever density it came from. This is the
    balance heuristic of Veach & Guibas, *Optimally combining sampling techniques* (1995). Its mean
    is ∫ f whatever the densities are, and no weight exceeds M times that of the best density alone.
    A region of f has to be covered by one of them, not by all.
    """

    densities: tuple[Density, ...]

    def draw(self, k: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw z (M, k, B, D), k from each, with their log 1/M Σ_m q_m(z), (M, k, B)."""
        z = torch.stack([q.sample(k, generator) for q in self.densities])
        log_q = torch.stack([_log_prob(q, z) for q in self.densities])
        return z, log_q.logsumexp(0) - math.log(len(self.densities))


def wide_modes(
    model: VAE, x: Tensor, mask: Tensor | None, *, generator: torch.Generator
) -> Density:
    """Fit a mixture to the modes of each row's posterior, and widen it beyond their tails."""
    fit = laplace(model, x, mask, generator=generator, mixture=True, starts=_STARTS)
    wide = fit.q.widened(widening_for_half_ess(fit.q))
    assert wide is not None  # a mixture of Gaussians can be widened
    return wide


def density_of(posterior: Posterior, generator: torch.Generator) -> Density:
    """Return a normalised density close to a posterior: its own q, or kernels at its draws.

    Each of 32 draws becomes a Gaussian with the curvature of log p(x_seen, z) there, as in Martino
    et al., *Layered adaptive importance sampling* (2017). The weights are thus right for draws of
    chains that have not mixed, or that converge to another density; these are only less efficient.
    """
    if posterior.q is not None:
        return posterior.q
    return kernels(posterior.target, posterior.sample(_KERNELS), generator)


def kernels(target: Target, z: Tensor, generator: torch.Generator) -> GaussianMixture:
    """Return the equal mixture of a Gaussian at each of S points of every row, (S, B, D)."""
    return GaussianMixture(torch.zeros_like(z[..., 0]), laplace_at_each(target, z, generator))


def _log_prob(q: Density, z: Tensor) -> Tensor:
    """Compute log q(z) of many draws, (M, k, B, D) → (M, k, B), some of them at a time."""
    draws = z.flatten(0, 1)
    at_a_time = max(1, _AT_A_TIME // (_KERNELS * z[0, 0].numel()))
    parts = [q.log_prob(part) for part in draws.split(at_a_time)]
    return torch.cat(parts).unflatten(0, z.shape[:2])
