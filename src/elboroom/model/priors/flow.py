"""A normalising flow as prior."""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn.utils import vector_to_parameters

from elboroom.model.flows import Spline
from elboroom.model.posteriors import DiagonalGaussian
from elboroom.model.priors.prior import Prior

_TRANSFORMS = 2
_WIDTH = 64
_MEAN_DRAWS = 1_024


@dataclass(frozen=True)
class FlowDensity:
    """p(z) = N(f(z); 0, I) |det ∂f/∂z|, once for each of the rows of `base`."""

    spline: Spline
    base: DiagonalGaussian

    @property
    def mean(self) -> Tensor:
        """E[z], (B, D), estimated from 1,024 draws, the same each time."""
        generator = torch.Generator(self.base.mean.device).manual_seed(0)
        row = FlowDensity(self.spline, DiagonalGaussian(self.base.mean[:1], self.base.log_std[:1]))
        return row.sample(_MEAN_DRAWS, generator).mean(0).expand_as(self.base.mean)

    def sample(self, k: int, generator: torch.Generator) -> Tensor:
        """k draws, (k, B, D), latent by latent."""
        return self.draw(k, generator)[0]

    def draw(self, k: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """k draws (k, B, D), and their log p in nats, (k, B)."""
        eps = self.base.sample(k, generator)
        z, log_det = self.spline(eps, inverse=True)
        # log p(z) = log N(ε; 0, I) − log |det ∂z/∂ε|
        return z, self.base.log_prob(eps) - log_det

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, z (..., B, D) → (..., B), all latents at once."""
        eps, log_det = self.spline(z, inverse=False)
        # log p(z) = log N(f(z); 0, I) + log |det ∂f/∂z|
        return self.base.log_prob(eps) + log_det


class FlowPrior(Prior):
    """A neural spline flow from z to ε ~ N(0, I), which is N(0, I) itself at first.

    It is the density that is computed in one pass, as training needs it; a draw takes D of them.

    Args:
        latents: D.
        generator: draws the first weights.
    """

    def __init__(self, latents: int, generator: torch.Generator) -> None:
        super().__init__()
        self.spline = Spline(latents, max(_WIDTH, latents), _TRANSFORMS)
        vector_to_parameters(self.spline.first_weights(generator), self.spline.parameters())
        self.register_buffer("origin", torch.zeros(latents), persistent=False)

    def forward(self, batch: int) -> FlowDensity:
        """The flow, once for each of `batch` rows."""
        origin = cast(Tensor, self.origin)
        return FlowDensity(self.spline, DiagonalGaussian.standard((batch, len(origin)), origin))

    def curvature(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """∇ log p(z), exact, (B, D), and Jᵀ J with J = ∂f/∂z, (B, D, D), the Gauss–Newton term.

        It leaves out the second derivatives of f, and is exact where f is affine.
        """
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            gradient = torch.autograd.grad(self.forward(len(z)).log_prob(z).sum(), z)[0]
            eps = self.spline(z, inverse=False)[0]
            rows = [torch.autograd.grad(e.sum(), z, retain_graph=True)[0] for e in eps.unbind(-1)]
        jacobian = torch.stack(rows, -2)
        with torch.autocast(z.device.type, enabled=False):
            return gradient, jacobian.mT @ jacobian
