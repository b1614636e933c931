"""A normalising flow as the prior."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils import vector_to_parameters

from elboroom.config import ModelConfig
from elboroom.model.flows import Spline
from elboroom.model.posteriors import Density, DiagonalGaussian
from elboroom.model.priors.prior import Prior, PriorInputs

_TRANSFORMS = 2
_WIDTH = 64
_MEAN_DRAWS = 1_024
_LEAST_WEIGHTS = 30  # weights of the splines for each pair of latents


@dataclass(frozen=True)
class FlowDensity(Density):
    """p(z) = N(f(z); 0, I) |det ∂f/∂z|, repeated for each row of `base`, which is N(0, I)."""

    spline: Spline
    base: DiagonalGaussian

    @property
    def mean(self) -> Tensor:
        """E[z], (B, D), estimated from 1,024 draws, the same each time."""
        generator = torch.Generator(self.base.mean.device).manual_seed(0)
        shape = self.base.mean.shape
        row = FlowDensity(self.spline, DiagonalGaussian.standard((1, shape[-1]), self.base.mean))
        return row.sample(_MEAN_DRAWS, generator).mean(0).expand(shape)

    def sample(self, k: int, generator: torch.Generator) -> Tensor:
        """Draw k values of z for each row, (k, B, D), latent by latent."""
        return self.draw(k, generator)[0]

    def draw(self, k: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw k values of z for each row, (k, B, D), with their log p in nats, (k, B)."""
        eps = self.base.sample(k, generator)
        z, log_det = self.spline(eps, inverse=True)
        # log p(z) = log N(ε; 0, I) − log |det ∂z/∂ε|
        return z, self.base.log_prob(eps) - log_det

    def log_prob(self, z: Tensor) -> Tensor:
        """Compute log p(z) in nats, z (..., B, D) → (..., B), all latents at once."""
        eps, log_det = self.spline(z, inverse=False)
        # log p(z) = log N(f(z); 0, I) + log |det ∂f/∂z|
        return self.base.log_prob(eps) + log_det


class FlowPrior(Prior):
    """A neural spline flow from z to ε ~ N(0, I), whose density is N(0, I) at first.

    Training needs the density, which takes one pass. A draw takes D passes.

    Args:
        latents: D.
        generator: random generator that draws the initial weights.
    """

    origin: Tensor

    def __init__(self, latents: int, generator: torch.Generator) -> None:
        super().__init__()
        self.spline = Spline(latents, max(_WIDTH, latents), _TRANSFORMS)
        vector_to_parameters(self.spline.first_weights(generator), self.spline.parameters())
        self.register_buffer("origin", torch.zeros(latents), persistent=False)

    @classmethod
    def from_config(cls, inputs: PriorInputs) -> "FlowPrior":
        """Build the flow that is N(0, I) at first."""
        return cls(inputs.config.latents, inputs.generator)

    @classmethod
    def least_weights(cls, config: ModelConfig, event_shape: tuple[int, ...]) -> int:
        """Count the weights of the splines for each pair of latents."""
        return _LEAST_WEIGHTS * config.latents * (config.latents - 1)

    def forward(self, batch: int) -> FlowDensity:
        """Return the flow, repeated for each of `batch` rows."""
        base = DiagonalGaussian.standard((batch, len(self.origin)), self.origin)
        return FlowDensity(self.spline, base)

    def curvature(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Compute ∇ log p(z), exact, (B, D), and Jᵀ J with J = ∂f/∂z, (B, D, D).

        Jᵀ J is the Gauss–Newton term: it omits the second derivatives of f, and is exact where f
        is affine.
        """
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            gradient = torch.autograd.grad(self.forward(len(z)).log_prob(z).sum(), z)[0]
            eps = self.spline(z, inverse=False)[0]
            rows = [torch.autograd.grad(e.sum(), z, retain_graph=True)[0] for e in eps.unbind(-1)]
        jacobian = torch.stack(rows, -2)
        with torch.autocast(z.device.type, enabled=False):
            return gradient, jacobian.mT @ jacobian
