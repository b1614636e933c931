"""Information about the data in the latents, by the encoder's q(z | x) of N images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.model.posteriors import Density, DiagonalGaussian
from elboroom.model.priors import Prior, SharedMixture

_LEAST_ACTIVITY = 0.01  # Burda et al. (2016), section 5.2
_COMPARED_IMAGES = 500  # for families whose densities are compared pair by pair
_ROWS_AT_A_TIME = 1_000  # draws that are compared with all N densities together


@dataclass(frozen=True)
class Information:
    """Information about N images in the latents.

    Attributes:
        kl: (D,), E_x[KL(q(z_d | x) ‖ p(z_d))] in nats for each latent; None if the prior or q does
            not know the density of one latent, for example a flow.
        activity: (D,), Var_x(E_q[z_d | x]); NaN if there is one image.
        mutual: (M,), log q(z_n | x_n) − log q(z_n) in nats of M images that are compared with each
            other. The mean is the mutual information of z and x under q.
        kl_standard_error: (D,), the standard error of `kl` over images, with the noise of the draws
            if it is sampled; None if `kl` is, or of one image.
    """

    kl: Tensor | None
    activity: Tensor
    mutual: Tensor
    kl_standard_error: Tensor | None = None

    @classmethod
    def of(
        cls, parts: Sequence[Density], prior: Prior, generator: torch.Generator
    ) -> "Information":
        """Compute the information from the densities of N images and one draw of each.

        Each draw is compared with the density of every image. The mutual information is that of
        all images if the densities are diagonal Gaussians, else that of the first five hundred.

        Args:
            parts: q(z | x) of all images, in batches.
            prior: the prior of z.
            generator: random generator of the draws.
        """
        means = [q.mean for q in parts]
        mean = torch.cat(means).double()
        marginals = _marginals(parts)
        if marginals is not None and all(q.marginals is q for q in parts):
            z = marginals.sample(1, generator)[0]
            mutual = marginals.log_prob(z) - _log_aggregate(marginals, z)
        else:
            mutual = _mutual_by_pairs(_first_images(parts, means), generator)
        kl = None if marginals is None else prior.kl_per_latent(marginals, generator)
        activity, mutual = _variance(mean).cpu(), mutual.cpu()
        if kl is None:
            return cls(None, activity, mutual)
        error = None if len(kl) == 1 else (kl.var(0) / len(kl)).sqrt().cpu()
        return cls(kl.mean(0).cpu(), activity, mutual, error)

    @property
    def known(self) -> bool:
        """True if there are two images or more, which the use of latents is measured by."""
        return not bool(self.activity.isnan().any())

    @property
    def active(self) -> Tensor:
        """True for each latent with an activity above 0.01, (D,)."""
        return self.activity > _LEAST_ACTIVITY


def _variance(mean: Tensor) -> Tensor:
    """Compute the variance over images, (N, D) → (D,); NaN for one image."""
    return mean.var(0) if len(mean) > 1 else torch.full_like(mean[0], math.nan)


def _marginals(parts: Sequence[Density]) -> DiagonalGaussian | None:
    """Return q(z_d | x) of each latent of all images; None if the family does not know them."""
    known = [marginals for q in parts if (marginals := q.marginals) is not None]
    if len(known) < len(parts):
        return None
    mean = torch.cat([q.mean for q in known])
    return DiagonalGaussian(mean.double(), torch.cat([q.log_std for q in known]).double())


def _first_images(parts: Sequence[Density], means: Sequence[Tensor]) -> list[Density]:
    """Return the parts that have the first five hundred images."""
    before = [sum(len(mean) for mean in means[:i]) for i in range(len(parts))]
    return [q for q, images in zip(parts, before, strict=True) if images < _COMPARED_IMAGES]


def _mutual_by_pairs(parts: Sequence[Density], generator: torch.Generator) -> Tensor:
    """Compute `mutual` from all pairs of a draw and a density of any family, (N,)."""
    drawn = [q.draw(1, generator) for q in parts]
    z, log_q = (torch.cat([pair[i][0] for pair in drawn]) for i in (0, 1))
    # log q(z_n | x_m)
    pairs = [
        q.log_prob(z[:, None].expand(-1, log_q.shape[1], -1))
        for q, (_, log_q) in zip(parts, drawn, strict=True)
    ]
    return log_q - (torch.logsumexp(torch.cat(pairs, 1), 1) - math.log(len(z)))


def _log_aggregate(q: DiagonalGaussian, z: Tensor) -> Tensor:
    """Compute log q(z) of the aggregate q(z) = 1/N Σ_m q(z | x_m) at z (N, D), in nats, (N,).

    Hoffman & Johnson, *ELBO surgery* (2016), section 2.
    """
    aggregate = SharedMixture(torch.zeros_like(q.mean[:, 0]), q.mean, q.log_std)
    return torch.cat([aggregate.log_prob(some) for some in z.split(_ROWS_AT_A_TIME)])
