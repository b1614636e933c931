"""A normalising flow as the encoder's q: all rows share one flow, steered by a context."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.func import functional_call

from elboroom.model.flows import Coupling
from elboroom.model.normal import log_standard_normal
from elboroom.model.posteriors.density import Density
from elboroom.randomness import normals

_MOMENT_DRAWS = 512


class FlowFamily(nn.Module):
    """A map from the encoder's parameters to a flow whose weights belong to the model.

    Args:
        latents: D.
        generator: random generator that draws the initial weights.
    """

    def __init__(self, latents: int, generator: torch.Generator) -> None:
        super().__init__()
        self.coupling = Coupling(latents, generator)

    def forward(self, shift: Tensor, log_std: Tensor, context: Tensor) -> "AmortisedFlow":
        """Return the flow of each row."""
        return AmortisedFlow(self.coupling, shift, log_std, context)


@dataclass(frozen=True, repr=False)
class AmortisedFlow(Density):
    """z = μ + σ f(ε; c) for each row.

    Attributes:
        flow: f, which all rows share.
        shift: μ, (B, D).
        log_std: log σ, (B, D).
        context: c, (B, CONTEXT).
        trained: True if gradients reach the weights of the flow.
    """

    flow: Coupling
    shift: Tensor
    log_std: Tensor
    context: Tensor
    trained: bool = True

    best_fit = "svi-flow"

    @property
    def mean(self) -> Tensor:
        """E_q[z], (B, D), estimated from the same 512 ε for every row."""
        return self._fixed_draws().mean(0)

    @property
    def covariance(self) -> Tensor:
        """Cov_q[z], (B, D, D), estimated from the same draws."""
        z = self._fixed_draws()
        apart = z - z.mean(0)
        return torch.einsum("kbi,kbj->bij", apart, apart) / (len(z) - 1)

    def sample(self, k: int, generator: torch.Generator) -> Tensor:
        """Draw k reparameterised z for each row, (k, B, D)."""
        return self.draw(k, generator)[0]

    def at(self, eps: Tensor) -> Tensor:
        """Transform standard normal noise ε into z, (..., B, D) → (..., B, D)."""
        return self.shift + self.log_std.exp() * self._warp(eps, inverse=False)[0]

    def draw(self, k: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw k values of z for each row, (k, B, D), with their log q in nats, (k, B).

        The flow is not inverted.
        """
        return self.from_noise(normals((k, *self.shift.shape), self.shift, generator))

    def from_noise(self, eps: Tensor) -> tuple[Tensor, Tensor]:
        """Transform standard normal noise ε (..., B, D) into z, with log q(z) in nats (..., B)."""
        u, log_det = self._warp(eps, inverse=False)
        # log q(z) = log N(ε; 0, I) − log |det ∂u/∂ε| − Σ_d log σ_d
        log_q = log_standard_normal(eps) - log_det - self.log_std.sum(-1)
        return self.shift + self.log_std.exp() * u, log_q

    def log_prob(self, z: Tensor) -> Tensor:
        """Compute log q(z) in nats, z (..., B, D) → (..., B)."""
        eps, log_det = self._warp((z - self.shift) * (-self.log_std).exp(), inverse=True)
        # log q(z) = log N(ε; 0, I) + log |det ∂ε/∂u| − Σ_d log σ_d
        return log_standard_normal(eps) + log_det - self.log_std.sum(-1)

    def detached(self) -> "AmortisedFlow":
        """Return the same density without gradients to its parameters or to the flow's."""
        return replace(
            self,
            shift=self.shift.detach(),
            log_std=self.log_std.detach(),
            context=self.context.detach(),
            trained=False,
        )

    def _fixed_draws(self) -> Tensor:
        generator = torch.Generator(self.shift.device).manual_seed(0)
        eps = normals((_MOMENT_DRAWS, 1, self.shift.shape[-1]), self.shift, generator)
        return self.at(eps.expand(-1, len(self.shift), -1))

    def _warp(self, points: Tensor, *, inverse: bool) -> tuple[Tensor, Tensor]:
        context = self.context.expand(*points.shape[:-1], -1)
        if self.trained:
            return self.flow(points, context, inverse)
        weights = {name: p.detach() for name, p in self.flow.named_parameters()}
        return functional_call(self.flow, weights, (points, context, inverse))
