"""What every prior knows, and N(0, I)."""

from abc import ABC, abstractmethod
from typing import Self, cast

import torch
from torch import Tensor, nn

from elboroom.model.posteriors import Density, DiagonalGaussian

_REACH = 8.0  # N(0, 1) has 1e-15 beyond


class Prior(nn.Module, ABC):
    """A density over z, which may have parameters to train."""

    @abstractmethod
    def forward(self, batch: int) -> Density:
        """p(z), once for each of `batch` rows."""

    @abstractmethod
    def curvature(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """∇ log p(z), (B, D), and a positive definite stand-in for −∇² log p(z), (B, D, D)."""

    def kl(self, q: Density) -> Tensor | None:
        """KL(q ‖ p) in nats, (B,), where it has a closed form; else None."""
        return None

    def kl_per_latent(self, q: DiagonalGaussian, generator: torch.Generator) -> Tensor | None:
        """KL(q(z_d) ‖ p(z_d)) in nats, (B, D), in closed form or from a draw; None if unknown."""
        return None

    @property
    def reach(self) -> float:
        """How far from 0 any latent has mass, about; more where modes lie farther apart."""
        return _REACH

    def project(self) -> None:
        """Bring the parameters back, in place, to where they may be, after a step of training."""

    def fixed(self) -> "Prior | Self":
        """The same density for parameters that stay, with nothing left to compute twice."""
        return self

    def __call__(self, batch: int) -> Density:
        """p(z), once for each of `batch` rows."""
        return cast(Density, super().__call__(batch))


class StandardNormal(Prior):
    """N(0, I) over D latents."""

    def __init__(self, latents: int) -> None:
        super().__init__()
        self.register_buffer("origin", torch.zeros(latents), persistent=False)

    def forward(self, batch: int) -> DiagonalGaussian:
        """N(0, I), once for each of `batch` rows."""
        zeros = cast(Tensor, self.origin).expand(batch, -1)
        return DiagonalGaussian(zeros, zeros)

    def curvature(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """−z and I: exact."""
        identity = torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)
        return -z, identity.expand(*z.shape, -1)

    def kl(self, q: Density) -> Tensor | None:
        """KL(q ‖ p) in nats, (B,), where q knows it; else None."""
        return q.kl_to_standard()

    def kl_per_latent(self, q: DiagonalGaussian, generator: torch.Generator) -> Tensor:
        """Its terms in nats, (B, D), in closed form."""
        return q.kl_per_latent()
