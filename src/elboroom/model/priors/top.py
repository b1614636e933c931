"""The prior of a ladder whose top level has one of its own."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.model.posteriors import Density, Descent, DiagonalGaussian
from elboroom.model.priors.prior import Prior


@dataclass(frozen=True)
class TopDensity(Density):
    """p(ε) = p(ε_top) N(ε_rest; 0, I) for each of B rows.

    Attributes:
        top: the density of the first T latents.
        rest: that of the others.
    """

    top: Density
    rest: DiagonalGaussian

    @property
    def mean(self) -> Tensor:
        """E[ε], (B, D)."""
        return torch.cat([self.top.mean, self.rest.mean], -1)

    def sample(self, k: int, generator: torch.Generator) -> Tensor:
        """Draw k values of ε for each row, (k, B, D)."""
        parts = self.top.sample(k, generator), self.rest.sample(k, generator)
        return torch.cat(parts, -1)

    def log_prob(self, z: Tensor) -> Tensor:
        """Compute log p(ε) in nats, ε (..., B, D) → (..., B)."""
        count = self.rest.location.shape[-1]
        top, rest = z.split((z.shape[-1] - count, count), -1)
        return self.top.log_prob(top) + self.rest.log_prob(rest)


class TopPrior(Prior):
    """A prior of the top level of a ladder, and N(0, I) of the noise of the levels below.

    Args:
        top: the prior of the first T latents.
        rest: number of the others.
    """

    origin: Tensor

    def __init__(self, top: Prior, rest: int) -> None:
        super().__init__()
        self.top = top
        self.register_buffer("origin", torch.zeros(rest), persistent=False)

    def forward(self, batch: int) -> TopDensity:
        """Return the density, repeated for each of `batch` rows."""
        zeros = self.origin.expand(batch, -1)
        return TopDensity(self.top(batch), DiagonalGaussian(zeros, zeros))

    @property
    def standard_latents(self) -> int:
        """Those of the levels below the top."""
        return len(self.origin)

    def shaped_precision(self, z: Tensor) -> Tensor:
        """Compute the precision of the top level, (B, T, T)."""
        return self.top.curvature(z[:, : z.shape[-1] - len(self.origin)])[1]

    def curvature(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Compute ∇ log p(ε), (B, D), and the precision, (B, D, D): that of the top, then I."""
        rest = len(self.origin)
        top, others = z.split((z.shape[-1] - rest, rest), -1)
        gradient, precision = self.top.curvature(top)
        whole = torch.eye(z.shape[-1], dtype=z.dtype, device=z.device).repeat(len(z), 1, 1)
        whole[:, : top.shape[-1], : top.shape[-1]] = precision
        return torch.cat([gradient, -others], -1), whole

    @property
    def reach(self) -> float:
        """A distance from 0 within which every latent has nearly all of its mass."""
        return max(self.top.reach, super().reach)

    def project(self) -> None:
        """Move the parameters of the top's prior back into their bounds."""
        self.top.project()

    def fixed(self) -> "TopPrior":
        """Return the same density for constant parameters."""
        return TopPrior(self.top.fixed(), len(self.origin)).to(self.origin.device)


def kl_of_levels(prior: Prior, descent: Descent) -> Tensor:
    """Return E_q[KL(q(ε_l | ε_>l, x) ‖ p(ε_l))] of each level in nats, (L, K, B).

    That of the top is estimated from its draw if its prior is not N(0, I); the others are in closed
    form given the levels above.
    """
    if not isinstance(prior, TopPrior):
        return descent.kl
    count = descent.z.shape[-1] - len(prior.origin)
    top, rows = descent.z[..., :count], descent.z.shape[1]
    # KL(q ‖ p) ≈ log q(ε_top | x) − log p(ε_top)
    first = descent.log_q[0] - prior.top(rows).log_prob(top)
    return torch.cat([first[None], descent.kl[1:]])
