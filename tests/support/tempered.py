"""Tempered sequential Monte Carlo: log p(x_seen) of a Bernoulli decoder by an independent method.

Del Moral, Doucet & Jasra, *Sequential Monte Carlo samplers* (2006): particles of the prior pass
through p(z) p(x_seen | z)^β, with β from 0 to 1, and are resampled and moved on the way. Nothing of
`elboroom.infer` is used, only the decoder.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from elboroom.model.vae import VAE

_ESS = 0.8  # share of the particles that each increase of β keeps
_MOVES = 4

LogDensity = Callable[[Tensor], Tensor]


@torch.no_grad()
def log_evidence(
    model: VAE, x: Tensor, seen: Tensor, generator: torch.Generator, *, particles: int, runs: int
) -> tuple[Tensor, Tensor]:
    """Estimate log p(x_seen) of one image in nats, and the standard error over `runs`, each ().

    Args:
        model: the model, with the prior N(0, I).
        x: (*event), zeros and ones.
        seen: (*event), True where a pixel is seen.
        generator: random generator.
        particles: number of particles of each run.
        runs: number of independent runs, at least two.
    """
    pixels, white = seen.flatten(), x.flatten()[seen.flatten()]

    def log_likelihood(z: Tensor) -> Tensor:
        logits = model.decoder_output(z).flatten(1)[:, pixels]
        # Σ_i x_i l_i − log(1 + exp l_i)
        return logits @ white - F.softplus(logits).sum(-1)

    found = [_run(log_likelihood, model.latents, particles, generator) for _ in range(runs)]
    estimates = torch.tensor(found, dtype=torch.float64)
    return estimates.mean(), estimates.std() / math.sqrt(runs)


def _run(log_likelihood: LogDensity, latents: int, particles: int, g: torch.Generator) -> float:
    z = torch.randn(particles, latents, generator=g)
    score, beta, total = log_likelihood(z), 0.0, 0.0
    scale = 2.38 / math.sqrt(latents)
    while beta < 1:
        step = _increase(score.double(), 1 - beta)
        weights = step * score.double()
        # log Z ← log Z + log 1/N Σ_n p(x_seen | z_n)^Δβ
        total += float(weights.logsumexp(0)) - math.log(particles)
        chosen = _systematic(weights.softmax(0), g)
        z, score, beta = z[chosen], score[chosen], beta + step
        z, score, scale = _move(log_likelihood, z, score, beta, scale, g)
    return total


def _increase(score: Tensor, most: float) -> float:
    """Find the increase of β that leaves the effective sample size at its share, by bisection."""
    least = _ESS * len(score)
    if _ess(most * score) >= least:
        return most
    low, high = 0.0, most
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if _ess(middle * score) >= least else (low, middle)
    return low


def _ess(weights: Tensor) -> float:
    return float(1 / weights.softmax(0).square().sum())


def _systematic(weights: Tensor, g: torch.Generator) -> Tensor:
    count = len(weights)
    ticks = (torch.arange(count) + torch.rand((), generator=g, dtype=torch.float64)) / count
    return torch.searchsorted(weights.cumsum(0), ticks).clamp(max=count - 1)


def _move(
    log_likelihood: LogDensity,
    z: Tensor,
    score: Tensor,
    beta: float,
    scale: float,
    g: torch.Generator,
) -> tuple[Tensor, Tensor, float]:
    """Move all particles by random-walk Metropolis steps, in the shape of their covariance."""
    for _ in range(_MOVES):
        covariance = torch.cov(z.T) + 1e-6 * torch.eye(z.shape[-1])
        noise = torch.randn(z.shape, generator=g) @ torch.linalg.cholesky(covariance).T
        there = z + scale * noise
        new = log_likelihood(there)
        log_ratio = beta * (new - score) + 0.5 * (z.square() - there.square()).sum(-1)
        accept = torch.rand(len(z), generator=g).log() < log_ratio
        z, score = torch.where(accept[:, None], there, z), torch.where(accept, new, score)
        scale *= math.exp(float(accept.float().mean()) - 0.25)
    return z, score, scale
