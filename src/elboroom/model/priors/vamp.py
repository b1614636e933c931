"""The VampPrior: a mixture of the encoder's posteriors of learned images."""

import math

import torch
from torch import Tensor, nn

from elboroom.config import ModelConfig
from elboroom.model.initial_images import require_images
from elboroom.model.networks.layers import as_input_of, at_least_float32
from elboroom.model.posteriors import DiagonalGaussian
from elboroom.model.priors.mixture import MixturePrior, SharedMixture
from elboroom.model.priors.prior import Prior, PriorInputs


class VampPrior(Prior):
    """p(z) = 1/C Σ_c q(z | u_c) with learned pseudo-inputs u_c.

    Tomczak & Welling, *VAE with a VampPrior* (2018), equation 9.

    Args:
        encoder: x (C, *event) → mean and log standard deviation of q, each (C, D). It is the
            model's own encoder; its weights belong to the model, and are not saved twice.
        pseudo_inputs: initial u, (C, *event).
        bounded: True if the pseudo-inputs are kept in [0, 1], as pixels are.
    """

    starts_at_images = True

    def __init__(
        self,
        encoder: nn.Module,
        pseudo_inputs: Tensor,
        *,
        bounded: bool = True,
    ) -> None:
        super().__init__()
        self.bounded = bounded
        self._encoder = (encoder,)  # the tuple hides its weights, which belong to the model
        self.pseudo_inputs = nn.Parameter(pseudo_inputs)

    @classmethod
    def from_config(cls, inputs: PriorInputs) -> "VampPrior":
        """Build the prior with training images as pseudo-inputs.

        Raises:
            UsageError: there are no images of the right shape.
        """
        shape = (inputs.config.components, *inputs.event_shape)
        images = require_images(inputs.images, shape, "pseudo-inputs")
        return cls(inputs.encoder, images, bounded=inputs.bounded)

    @classmethod
    def least_weights(cls, config: ModelConfig, event_shape: tuple[int, ...]) -> int:
        """Count the pixels of the pseudo-inputs."""
        return config.components * math.prod(event_shape)

    def forward(self, batch: int) -> SharedMixture:
        """Return the mixture, repeated for each of `batch` rows."""
        images = self.pseudo_inputs.clamp(0, 1) if self.bounded else self.pseudo_inputs
        encoder = self._encoder[0]
        means, log_stds = map(at_least_float32, encoder(as_input_of(encoder, images)))
        return SharedMixture(torch.zeros_like(means[:, 0]), means, log_stds, batch)

    @torch.no_grad()
    def project(self) -> None:
        """Move pseudo-inputs back into [0, 1]: beyond, the clamp of `forward` has no gradient.

        They start as images with many pixels at 0 or 1, so the first step may leave [0, 1].
        """
        if self.bounded:
            self.pseudo_inputs.clamp_(0, 1)

    def fixed(self) -> MixturePrior:
        """Return the mixture of the present encoder, without gradients to it."""
        with torch.no_grad():
            mixture = self.forward(1)
        prior = MixturePrior(mixture.logits, mixture.means, mixture.log_stds)
        return prior.requires_grad_(False)

    @property
    def reach(self) -> float:
        """A distance from 0 within which every component lies."""
        return self.fixed().reach

    def curvature(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Compute ∇ log p(z), exact, (B, D), and the expected precision, (B, D, D)."""
        return self.fixed().curvature(z)

    def kl_per_latent(self, q: DiagonalGaussian, generator: torch.Generator) -> Tensor:
        """Estimate KL(q(z_d) ‖ p(z_d)) in nats, (B, D), from one draw of each row."""
        return self.fixed().kl_per_latent(q, generator)
