"""What the latents hold of the data, by the encoder's q(z | x) of N images."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.posteriors import DiagonalGaussian

_ACTIVE = 0.01  # Burda et al. (2016), section 5.2
_ROWS = 1_000  # whose z are held against all N densities at a time


@dataclass(frozen=True)
class Information:
    """What the latents hold of N images.

    Attributes:
        kl: (D,), E_x[KL(q(z_d | x) ‖ p(z_d))] in nats, latent by latent.
        activity: (D,), Var_x(E_q[z_d | x]).
        mutual: (N,), log q(z_n | x_n) − log q(z_n) in nats, whose mean is the mutual information of
            z and x under q.
    """

    kl: Tensor
    activity: Tensor
    mutual: Tensor

    @classmethod
    def of(cls, q: DiagonalGaussian, generator: torch.Generator) -> "Information":
        """From the densities of N images, with one draw of each."""
        q = DiagonalGaussian(q.mean.double(), q.log_std.double())
        z = q.sample(1, generator)[0]
        mutual = q.log_prob(z) - _log_aggregate(q, z)
        return cls(q.kl_per_latent().mean(0), q.mean.var(0), mutual)

    @property
    def active(self) -> Tensor:
        """Which latents are active: those whose activity passes 0.01, (D,), bool."""
        return self.activity > _ACTIVE


def _log_aggregate(q: DiagonalGaussian, z: Tensor) -> Tensor:
    """Log of the aggregate q(z) = 1/N Σ_m q(z | x_m) at z (N, D), in nats, (N,).

    Hoffman & Johnson, *ELBO surgery* (2016), section 2.
    """
    precision = (-2 * q.log_std).exp()
    # log q(z_n | x_m) = −½ Σ_d [ z² λ − 2 z μ λ + μ² λ − log λ + log 2π ]_m
    constant = (q.mean.square() * precision + 2 * q.log_std + math.log(2 * math.pi)).sum(-1)
    parts = []
    for some in z.split(_ROWS):
        squares = some.square() @ precision.T - 2 * some @ (q.mean * precision).T + constant
        parts.append(torch.logsumexp(-0.5 * squares, 1))
    return torch.cat(parts) - math.log(len(z))
