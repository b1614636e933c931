"""Expectations under a Gaussian q by Gauss–Hermite quadrature, exact for smooth integrands."""

import math

import numpy as np
import torch
from torch import Tensor

from elboroom.infer.seen import as_rows
from elboroom.model import VAE
from elboroom.posteriors import DiagonalGaussian


@torch.no_grad()
def exact_elbo(
    model: VAE, x: Tensor, mask: Tensor | None, q: DiagonalGaussian, order: int = 32
) -> Tensor:
    """The ELBO of q without Monte-Carlo noise, in nats, (B,); needs order^D decodings an image.

    With the grid's log p(x_seen) it gives the exact KL(q ‖ p(z | x_seen)) = log p(x_seen) − ELBO.
    """
    x, mask = as_rows(x, mask)
    roots, weights = np.polynomial.hermite_e.hermegauss(order)
    nodes = torch.from_numpy(roots).to(q.mean)
    mass = torch.from_numpy(weights / math.sqrt(2 * math.pi)).to(q.mean)
    latents = q.mean.shape[-1]
    eps = torch.cartesian_prod(*[nodes] * latents).view(-1, latents)
    log_mass = torch.cartesian_prod(*[mass.log()] * latents).view(-1, latents).sum(-1)
    # E_q[log p(x | z)] = ∫ N(ε; 0, I) log p(x | μ + σ ε) dε ≈ Σ_g w_g log p(x | μ + σ ε_g)
    z = q.mean + q.log_std.exp() * eps[:, None]
    return log_mass.exp() @ model.decode(z).log_prob(x, mask) - q.kl_to_prior()
