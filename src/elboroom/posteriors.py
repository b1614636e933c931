"""q(z | x): approximate posteriors, and the Gaussian prior p(z), which is of the same family."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class DiagonalGaussian:
    """N(mean, diag σ²) over z, one a row: `mean` and `log_std` are (B, D)."""

    mean: Tensor
    log_std: Tensor

    @classmethod
    def standard(cls, shape: tuple[int, ...], like: Tensor) -> "DiagonalGaussian":
        """N(0, I) of `shape`, with the type and device of `like`."""
        zeros = like.new_zeros(shape)
        return cls(zeros, zeros)

    def sample(self, k: int, generator: torch.Generator) -> Tensor:
        """k reparameterised draws z = μ + σ ε (Kingma & Welling, 2013, section 2.4), (k, B, D)."""
        eps = torch.randn(
            (k, *self.mean.shape),
            generator=generator,
            dtype=self.mean.dtype,
            device=self.mean.device,
        )
        # z = μ + σ ε
        return self.mean + self.log_std.exp() * eps

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z) in nats, z (..., B, D) → (..., B)."""
        eps = (z - self.mean) * (-self.log_std).exp()
        # log q(z) = −½ Σ_d [ ε_d² + log 2π ] − Σ_d log σ_d
        return -0.5 * (eps.square() + _LOG_2PI).sum(-1) - self.log_std.sum(-1)

    def kl_to_prior(self) -> Tensor:
        """KL(q ‖ N(0, I)) in nats, (B,): Kingma & Welling (2013), appendix B."""
        # KL = ½ Σ_d [ μ_d² + σ_d² − 1 − log σ_d² ]
        variance = (2 * self.log_std).exp()
        return 0.5 * (self.mean.square() + variance - 1 - 2 * self.log_std).sum(-1)
