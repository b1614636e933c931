"""What the latents hold of the data, by the encoder's q(z | x) of N images."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.posteriors import DiagonalGaussian
from elboroom.priors import Prior, SharedMixture

_ACTIVE = 0.01  # Burda et al. (2016), section 5.2
_ROWS = 1_000  # whose z are held against all N densities at a time


@dataclass(frozen=True)
class Information:
    """What the latents hold of N images.

    Attributes:
        kl: (D,), E_x[KL(q(z_d | x) ‖ p(z_d))] in nats, latent by latent; None where the prior does
            not know the density of one latent, as a flow does not.
        activity: (D,), Var_x(E_q[z_d | x]).
        mutual: (N,), log q(z_n | x_n) − log q(z_n) in nats, whose mean is the mutual information of
            z and x under q.
    """

    kl: Tensor | None
    activity: Tensor
    mutual: Tensor

    @classmethod
    def of(cls, q: DiagonalGaussian, prior: Prior, generator: torch.Generator) -> "Information":
        """From the densities of N images under a prior, with one draw of each."""
        q = DiagonalGaussian(q.mean.double(), q.log_std.double())
        z = q.sample(1, generator)[0]
        mutual = q.log_prob(z) - _log_aggregate(q, z)
        kl = prior.kl_per_latent(q, generator)
        return cls(None if kl is None else kl.mean(0), q.mean.var(0), mutual)

    @property
    def active(self) -> Tensor:
        """Which latents are active: those whose activity passes 0.01, (D,), bool."""
        return self.activity > _ACTIVE


def _log_aggregate(q: DiagonalGaussian, z: Tensor) -> Tensor:
    """Log of the aggregate q(z) = 1/N Σ_m q(z | x_m) at z (N, D), in nats, (N,).

    Hoffman & Johnson, *ELBO surgery* (2016), section 2.
    """
    aggregate = SharedMixture(torch.zeros_like(q.mean[:, 0]), q.mean, q.log_std)
    return torch.cat([aggregate.log_prob(some) for some in z.split(_ROWS)])
