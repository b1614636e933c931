"""What the latents hold of the data, by the encoder's q(z | x) of N images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.model.posteriors import Density, DiagonalGaussian
from elboroom.model.priors import Prior, SharedMixture

_ACTIVE = 0.01  # Burda et al. (2016), section 5.2
_SOME = 500
_ROWS = 1_000  # whose z are held against all N densities at a time


@dataclass(frozen=True)
class Information:
    """What the latents hold of N images.

    Attributes:
        kl: (D,), E_x[KL(q(z_d | x) ‖ p(z_d))] in nats, latent by latent; None where the prior does
            not know the density of one latent, as a flow does not.
        activity: (D,), Var_x(E_q[z_d | x]).
        mutual: (M,), log q(z_n | x_n) − log q(z_n) in nats of the M images that are held against
            each other, whose mean is the mutual information of z and x under q.
    """

    kl: Tensor | None
    activity: Tensor
    mutual: Tensor

    @classmethod
    def of(
        cls, parts: Sequence[Density], prior: Prior, generator: torch.Generator
    ) -> "Information":
        """From the densities of N images under a prior, some rows a part, with a draw of each.

        The mutual information is of all images where the densities are diagonal Gaussians, else of
        the first five hundred: each draw is held against the density of every image.
        """
        means = [q.mean for q in parts]
        mean = torch.cat(means).double()
        marginals = _marginals(parts)
        if marginals is not None and all(q.marginals is q for q in parts):
            z = marginals.sample(1, generator)[0]
            mutual = marginals.log_prob(z) - _log_aggregate(marginals, z)
        else:
            mutual = _mutual_of_some(_first(parts, means), generator)
        kl = None if marginals is None else prior.kl_per_latent(marginals, generator)
        return cls(None if kl is None else kl.mean(0).cpu(), mean.var(0).cpu(), mutual.cpu())

    @property
    def active(self) -> Tensor:
        """Which latents are active: those whose activity passes 0.01, (D,), bool."""
        return self.activity > _ACTIVE


def _marginals(parts: Sequence[Density]) -> DiagonalGaussian | None:
    """q(z_d | x) of each latent of all images, where they are known."""
    known = [marginals for q in parts if (marginals := q.marginals) is not None]
    if len(known) < len(parts):
        return None
    mean = torch.cat([q.mean for q in known])
    return DiagonalGaussian(mean.double(), torch.cat([q.log_std for q in known]).double())


def _first(parts: Sequence[Density], means: Sequence[Tensor]) -> list[Density]:
    """The parts that the first five hundred images are in."""
    before = [sum(len(mean) for mean in means[:i]) for i in range(len(parts))]
    return [q for q, images in zip(parts, before, strict=True) if images < _SOME]


def _mutual_of_some(parts: Sequence[Density], generator: torch.Generator) -> Tensor:
    """Of families that are not Gaussians with diagonal covariances, pair by pair, (N,)."""
    drawn = [q.draw(1, generator) for q in parts]
    z, log_q = (torch.cat([pair[i][0] for pair in drawn]) for i in (0, 1))
    # log q(z_n | x_m)
    pairs = [
        q.log_prob(z[:, None].expand(-1, log_q.shape[1], -1))
        for q, (_, log_q) in zip(parts, drawn, strict=True)
    ]
    return log_q - (torch.logsumexp(torch.cat(pairs, 1), 1) - math.log(len(z)))


def _log_aggregate(q: DiagonalGaussian, z: Tensor) -> Tensor:
    """Log of the aggregate q(z) = 1/N Σ_m q(z | x_m) at z (N, D), in nats, (N,).

    Hoffman & Johnson, *ELBO surgery* (2016), section 2.
    """
    aggregate = SharedMixture(torch.zeros_like(q.mean[:, 0]), q.mean, q.log_std)
    return torch.cat([aggregate.log_prob(some) for some in z.split(_ROWS)])
