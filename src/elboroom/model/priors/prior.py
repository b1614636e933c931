"""The contract of a prior, and N(0, I)."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from elboroom.config import ModelConfig
from elboroom.model.posteriors import Density, DiagonalGaussian

_REACH = 8.0  # N(0, 1) has a mass of 1e-15 beyond


@dataclass(frozen=True)
class PriorInputs:
    """Everything that a prior of a config may be built from.

    Attributes:
        config: options of the model.
        event_shape: shape of x.
        encoder: the model's encoder, x (B, *event) → the parameters of q.
        images: some training images, (`config.components`, *event); None if there are none.
        bounded: True if x lies in [0, 1].
        generator: random generator that draws the initial weights.
    """

    config: ModelConfig
    event_shape: tuple[int, ...]
    encoder: nn.Module
    images: Tensor | None
    bounded: bool
    generator: torch.Generator


class Prior(nn.Module, ABC):
    """A density p(z), which may have parameters to train.

    Implementing a prior:
        Derive from this class and write `forward`, which returns a `Density`, and `curvature`. The
        other members are optional, and each has a default. Override `kl` and `kl_per_latent` if
        they have a closed form, `reach` if p(z) has mass far from 0, `project` if a parameter has
        bounds, and `fixed` if `forward` repeats work that constant parameters need only once. Of
        a prior under which the last latents are N(0, I), override `standard_latents`, and
        `shaped_precision` if the others' precision is cheaper alone.

        To name the prior in a config, add the class to `PRIOR_CLASSES` and its name to
        `elboroom.config.kinds`, and override `from_config` and `least_weights`. Set
        `starts_at_images` if its parameters start at training images.
    """

    starts_at_images: ClassVar[bool] = False
    """True if `from_config` needs training images, one for each component."""

    @abstractmethod
    def forward(self, batch: int) -> Density:
        """Return p(z), repeated for each of `batch` rows."""

    @abstractmethod
    def curvature(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Compute ∇ log p(z), (B, D), and a positive definite approximation of −∇² log p(z).

        The latter is (B, D, D).
        """

    @classmethod
    def from_config(cls, inputs: PriorInputs) -> "Prior":
        """Build the prior with its initial parameters; by default from the number of latents."""
        return cls(inputs.config.latents)

    @classmethod
    def least_weights(cls, config: ModelConfig, event_shape: tuple[int, ...]) -> int:
        """Count the parameters, at least, without building them; none by default."""
        return 0

    def kl(self, q: Density) -> Tensor | None:
        """Compute KL(q ‖ p) in nats, (B,); return None if it has no closed form."""
        return None

    def kl_per_latent(self, q: DiagonalGaussian, generator: torch.Generator) -> Tensor | None:
        """Compute KL(q(z_d) ‖ p(z_d)) in nats, (B, D); return None if p(z_d) is unknown.

        It has a closed form, or is estimated from a draw.
        """
        return None

    def components(self) -> tuple[Tensor, DiagonalGaussian] | None:
        """Return log masses (C,) and the Gaussians (C, D) that p(z) is a mixture of; None if none.

        The posterior laplace needs them.
        """
        return None

    @property
    def standard_latents(self) -> int:
        """The number of the last latents that are N(0, I), whatever the others are; 0 by default.

        Methods for many latents then hold no matrix of these.
        """
        return 0

    def shaped_precision(self, z: Tensor) -> Tensor:
        """Compute the precision of `curvature` of the first T latents, (B, T, T).

        T is the number of those that are not N(0, I).
        """
        count = z.shape[-1] - self.standard_latents
        return self.curvature(z)[1][:, :count, :count]

    @property
    def reach(self) -> float:
        """A distance from 0 within which every latent has nearly all of its mass."""
        return _REACH

    def project(self) -> None:
        """Move parameters back into their bounds, in place, after a step of training."""

    def fixed(self) -> "Prior":
        """Return the same density for constant parameters, with nothing left to compute twice."""
        return self

    __call__: Callable[[int], Density]


class StandardNormal(Prior):
    """N(0, I) over D latents."""

    origin: Tensor

    def __init__(self, latents: int) -> None:
        super().__init__()
        self.register_buffer("origin", torch.zeros(latents), persistent=False)

    def forward(self, batch: int) -> DiagonalGaussian:
        """Return N(0, I), repeated for each of `batch` rows."""
        zeros = self.origin.expand(batch, -1)
        return DiagonalGaussian(zeros, zeros)

    @property
    def standard_latents(self) -> int:
        """All of them."""
        return len(self.origin)

    def components(self) -> tuple[Tensor, DiagonalGaussian]:
        """Return the one Gaussian that it is."""
        zeros = self.origin[None]
        return self.origin.new_zeros(1), DiagonalGaussian(zeros, zeros)

    def curvature(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return −z and I, which are exact."""
        identity = torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)
        return -z, identity.expand(*z.shape, -1)

    def kl(self, q: Density) -> Tensor | None:
        """Compute KL(q ‖ p) in nats, (B,); return None if q has no closed form of it."""
        return q.kl_to_standard()

    def kl_per_latent(self, q: DiagonalGaussian, generator: torch.Generator) -> Tensor:
        """Compute KL(q(z_d) ‖ p(z_d)) in nats, (B, D), in closed form."""
        return q.kl_per_latent()
