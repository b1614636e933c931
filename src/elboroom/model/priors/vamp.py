"""The VampPrior: the mixture of the posteriors of images that are themselves learned."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from elboroom.model.posteriors import DiagonalGaussian
from elboroom.model.priors.mixture import MixturePrior, SharedMixture
from elboroom.model.priors.prior import Prior


class VampPrior(Prior):
    """p(z) = 1/C Σ_c q(z | u_c) with learned pseudo-inputs u_c.

    Tomczak & Welling, *VAE with a VampPrior* (2018), equation 9.

    Args:
        encoder: x (C, *event) → mean and log standard deviation of q, each (C, D). The model's
            own: its weights stay the model's, and are not saved or listed twice.
        pseudo_inputs: u at first, (C, *event).
        bounded: whether they are kept in [0, 1], as pixels are; real values are not.
    """

    def __init__(
        self,
        encoder: Callable[[Tensor], tuple[Tensor, Tensor]],
        pseudo_inputs: Tensor,
        *,
        bounded: bool = True,
    ) -> None:
        super().__init__()
        self.bounded = bounded
        self._encoder = (encoder,)  # in a tuple, or it would be a part of this module too
        self.pseudo_inputs = nn.Parameter(pseudo_inputs)

    def forward(self, batch: int) -> SharedMixture:
        """The mixture, once for each of `batch` rows."""
        images = self.pseudo_inputs.clamp(0, 1) if self.bounded else self.pseudo_inputs
        means, log_stds = self._encoder[0](images)
        return SharedMixture(torch.zeros_like(means[:, 0]), means, log_stds, batch)

    @torch.no_grad()
    def project(self) -> None:
        """Pseudo-inputs back into [0, 1]: beyond, a clamp has no gradient that would return them.

        They start as images, many of whose pixels are 0 or 1, which the first step may pass.
        """
        if self.bounded:
            self.pseudo_inputs.clamp_(0, 1)

    def fixed(self) -> MixturePrior:
        """The mixture of today's encoder, without gradients to it."""
        with torch.no_grad():
            mixture = self.forward(1)
        prior = MixturePrior(mixture.logits, mixture.means, mixture.log_stds)
        return prior.requires_grad_(False)

    @property
    def reach(self) -> float:
        """As of a `MixturePrior`."""
        return self.fixed().reach

    def curvature(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """As of a `MixturePrior`."""
        return self.fixed().curvature(z)

    def kl_per_latent(self, q: DiagonalGaussian, generator: torch.Generator) -> Tensor:
        """As of a `MixturePrior`."""
        return self.fixed().kl_per_latent(q, generator)
