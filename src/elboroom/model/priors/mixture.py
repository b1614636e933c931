"""A mixture of diagonal Gaussians as the prior."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from elboroom.config import ModelConfig
from elboroom.model.normal import LOG_2PI
from elboroom.model.posteriors import Density, DiagonalGaussian
from elboroom.model.priors.prior import Prior, PriorInputs
from elboroom.randomness import normals

_INITIAL_SPREAD = 0.5  # standard deviation of the initial means of the components
_REACH = 6.5  # standard deviations; there a density is some 20 nats below its peak
_ROWS = 1_000  # number of z that are compared with all components at a time


@dataclass(frozen=True)
class SharedMixture(Density):
    """p(z) = Σ_c π_c N(z; μ_c, diag σ_c²), repeated for each of `rows` rows.

    Attributes:
        logits: (C,), log π up to a constant.
        means: (C, D), μ.
        log_stds: (C, D), log σ.
        rows: B.
    """

    logits: Tensor
    means: Tensor
    log_stds: Tensor
    rows: int = 1

    @property
    def log_mass(self) -> Tensor:
        """log π, (C,)."""
        return torch.log_softmax(self.logits, 0)

    @property
    def mean(self) -> Tensor:
        """E[z] = Σ_c π_c μ_c, (B, D)."""
        return (self.log_mass.exp() @ self.means).expand(self.rows, -1)

    @property
    def covariance(self) -> Tensor:
        """Cov[z], (B, D, D)."""
        apart, mass = self.means - self.mean[:1], self.log_mass.exp()
        # Σ = Σ_c π_c [ diag σ_c² + (μ_c − μ)(μ_c − μ)ᵀ ]
        within = torch.diag(mass @ (2 * self.log_stds).exp())
        return (within + apart.T @ (mass[:, None] * apart)).expand(self.rows, -1, -1)

    def sample(self, k: int, generator: torch.Generator) -> Tensor:
        """Draw k components for each row, then z from each component, (k, B, D)."""
        mass = self.log_mass.exp()
        which = torch.multinomial(mass, k * self.rows, True, generator=generator)
        shape = (k, self.rows, self.means.shape[-1])
        eps = normals(shape, self.means, generator)
        # z = μ_c + σ_c ε
        return self.means[which].view(shape) + self.log_stds[which].view(shape).exp() * eps

    def log_prob(self, z: Tensor) -> Tensor:
        """Compute log p(z) in nats, z (..., D) → (...)."""
        # log p(z) = log Σ_c π_c N(z; μ_c, σ_c²)
        return torch.logsumexp(self.log_joint(z), -1)

    def log_joint(self, z: Tensor) -> Tensor:
        """Compute log π_c + log N(z; μ_c, σ_c²) of each component by matrix products, (..., C)."""
        origin, precision = self.means.detach().mean(0), (-2 * self.log_stds).exp()
        # Without the shift, the squares below would cancel far from 0.
        z, means = z.to(origin) - origin, self.means - origin
        volume = (2 * self.log_stds + LOG_2PI + means.square() * precision).sum(-1)
        with torch.autocast(z.device.type, enabled=False):
            # −½ Σ_d [ z² λ − 2 z μ λ + μ² λ − log λ + log 2π ]
            cross = z @ (means * precision).T
            return cross - 0.5 * (z.square() @ precision.T + volume) + self.log_mass

    def log_marginals(self, z: Tensor) -> Tensor:
        """Compute log p(z_d) of each latent alone in nats, z (N, D) → (N, D)."""
        eps = (z[:, None] - self.means) * (-self.log_stds).exp()
        log_prob = -0.5 * (eps.square() + LOG_2PI) - self.log_stds
        return torch.logsumexp(log_prob + self.log_mass[:, None], 1)

    def log_bounds(
        self, low: Tensor, high: Tensor, narrower: float
    ) -> tuple[Tensor, Tensor] | None:
        """Bound the density of narrow components in boxes, which points inside may all miss.

        Args:
            low: (N, D), corners of the boxes.
            high: (N, D), their opposite corners.
            narrower: a component is narrow if some standard deviation is below this.

        Returns:
            The largest log [π_c N(z; μ_c, σ_c²)] in each box, (N,), and the largest tr Λ_c of the
            components that reach it, (N,), 0 if none does; None if no component is narrow.
        """
        narrow = (self.log_stds < math.log(narrower)).any(-1)
        if not narrow.any():
            return None
        means, log_stds = self.means[narrow], self.log_stds[narrow]
        nearest = means.clamp(low[:, None], high[:, None])
        fall = 0.5 * ((nearest - means) * (-log_stds).exp()).square().sum(-1)
        peak = self.log_mass[narrow] - (log_stds + 0.5 * LOG_2PI).sum(-1)
        trace = (-2 * log_stds).exp().sum(-1).masked_fill(fall > _REACH**2 / 2, 0.0)
        return (peak - fall).amax(-1), trace.amax(-1)

    def to(self, like: Tensor) -> "SharedMixture":
        """Convert to the type and device of `like`."""
        return SharedMixture(
            self.logits.to(like), self.means.to(like), self.log_stds.to(like), self.rows
        )


class MixturePrior(Prior):
    """A mixture of C diagonal Gaussians with learned weights, means and standard deviations.

    Args:
        logits: initial log π up to a constant, (C,).
        means: initial means, (C, D).
        log_stds: initial log standard deviations, (C, D).
    """

    def __init__(self, logits: Tensor, means: Tensor, log_stds: Tensor) -> None:
        super().__init__()
        self.logits, self.means = nn.Parameter(logits), nn.Parameter(means)
        self.log_stds = nn.Parameter(log_stds)

    @classmethod
    def random(cls, components: int, latents: int, generator: torch.Generator) -> "MixturePrior":
        """Return a prior of equal weights, unit deviations, and means drawn near 0."""
        zeros = torch.zeros(components, latents)
        means = _INITIAL_SPREAD * normals(zeros.shape, zeros, generator)
        return cls(torch.zeros(components), means, zeros)

    @classmethod
    def from_config(cls, inputs: PriorInputs) -> "MixturePrior":
        """Build a mixture of equal weights, unit deviations, and means drawn near 0."""
        return cls.random(inputs.config.components, inputs.config.latents, inputs.generator)

    @classmethod
    def least_weights(cls, config: ModelConfig, event_shape: tuple[int, ...]) -> int:
        """Count the means and standard deviations."""
        return 2 * config.components * config.latents

    def forward(self, batch: int) -> SharedMixture:
        """Return the mixture, repeated for each of `batch` rows."""
        return SharedMixture(self.logits, self.means, self.log_stds, batch)

    def components(self) -> tuple[Tensor, DiagonalGaussian]:
        """Return log π (C,) and the components (C, D)."""
        return self.forward(1).log_mass, DiagonalGaussian(self.means, self.log_stds)

    @property
    def reach(self) -> float:
        """A distance from 0 within which every component lies."""
        return (self.means.abs() + _REACH * self.log_stds.exp()).max().item()

    def curvature(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Compute ∇ log p(z), exact, (B, D), and the expected precision, (B, D, D).

        −∇² log p = Σ_c r_c Λ_c − Cov_r[g_c], where r_c = p(c | z) and g_c are the gradients of the
        components. The first term alone is positive definite and never smaller than the whole.
        """
        share = self.forward(1).log_joint(z).softmax(-1)
        precision = (-2 * self.log_stds).exp()
        with torch.autocast(z.device.type, enabled=False):
            # ∇ log p = Σ_c r_c Λ_c (μ_c − z)
            expected = share @ precision
            gradient = share @ (precision * self.means) - expected * z
        return gradient, torch.diag_embed(expected)

    def kl_per_latent(self, q: DiagonalGaussian, generator: torch.Generator) -> Tensor:
        """Estimate KL(q(z_d) ‖ p(z_d)) in nats, (B, D), from one draw of each row.

        The mean over rows is unbiased.
        """
        z, mixture = q.sample(1, generator)[0], self.forward(1).to(q.mean)
        log_p = torch.cat([mixture.log_marginals(some) for some in z.split(_ROWS)])
        return q.log_prob_per_latent(z) - log_p
