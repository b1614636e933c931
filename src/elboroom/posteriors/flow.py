"""A normalising flow as the encoder's answer: one flow, that a context of each row steers."""

from dataclasses import dataclass, replace
from typing import cast

import torch
import zuko
from torch import Tensor, nn
from torch.func import functional_call

from elboroom.posteriors.family import normal_noise
from elboroom.posteriors.gaussian import DiagonalGaussian

CONTEXT = 32
"""Numbers by which a row steers the flow."""

_TRANSFORMS = 4
_WIDTH = 64
_MOMENT_DRAWS = 512
_HIDDEN_LAYER = "hyper.0"


class Coupling(nn.Module):
    """ε ↦ u given a context: affine couplings, of each half of the latents on the other.

    Dinh et al., *Density estimation using Real NVP* (2017), with zuko; cheap in both directions. A
    single latent has no other half, and is scaled and shifted by its context alone.

    Args:
        latents: D.
        generator: draws the first weights, with which u = ε.
    """

    def __init__(self, latents: int, generator: torch.Generator) -> None:
        super().__init__()
        order = cast(torch.LongTensor, torch.arange(latents))
        with torch.random.fork_rng(devices=[]):  # zuko's own first weights are not used
            self.transforms = nn.ModuleList(
                zuko.flows.MaskedAutoregressiveTransform(
                    latents,
                    CONTEXT,
                    passes=min(2, latents),
                    order=order if i % 2 == 0 else cast(torch.LongTensor, order.flip(0)),
                    hidden_features=(max(_WIDTH, latents),),
                )
                for i in range(_TRANSFORMS)
            )
        for name, parameter in self.named_parameters():
            bound = parameter.shape[-1] ** -0.5 if _HIDDEN_LAYER in name else 0.0
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def forward(self, points: Tensor, context: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        """Points (..., B, D) → where they go (..., B, D), with the log-determinant (..., B)."""
        log_det = torch.zeros_like(points[..., 0])
        steps = list(self.transforms)[:: -1 if inverse else 1]
        with torch.autocast(points.device.type, enabled=False):
            for step in steps:
                transform = step(context)
                points, moved = (transform.inv if inverse else transform).call_and_ladj(points)
                log_det = log_det + moved
        return points, log_det


@dataclass(frozen=True)
class AmortisedFlow:
    """z = μ + σ f(ε; c), one a row: `shift` μ, `log_std` log σ (B, D), `context` c (B, CONTEXT)."""

    flow: Coupling
    shift: Tensor
    log_std: Tensor
    context: Tensor
    trained: bool = True

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
        """k reparameterised draws, (k, B, D)."""
        return self.draw(k, generator)[0]

    def at(self, eps: Tensor) -> Tensor:
        """z of given ε, (..., B, D) → (..., B, D)."""
        return self.shift + self.log_std.exp() * self._warp(eps, inverse=False)[0]

    def draw(self, k: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """k draws (k, B, D), and their log q in nats, (k, B), without inverting the flow."""
        eps = normal_noise(k, self.shift, generator)
        u, log_det = self._warp(eps, inverse=False)
        # log q(z) = log N(ε; 0, I) − log |det ∂u/∂ε| − Σ_d log σ_d
        log_q = self._standard.log_prob(eps) - log_det - self.log_std.sum(-1)
        return self.shift + self.log_std.exp() * u, log_q

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z) in nats, z (..., B, D) → (..., B)."""
        eps, log_det = self._warp((z - self.shift) * (-self.log_std).exp(), inverse=True)
        # log q(z) = log N(ε; 0, I) + log |det ∂ε/∂u| − Σ_d log σ_d
        return self._standard.log_prob(eps) + log_det - self.log_std.sum(-1)

    def detached(self) -> "AmortisedFlow":
        """The same density, without gradients to its parameters or to the flow's."""
        parts = {name: getattr(self, name).detach() for name in ("shift", "log_std", "context")}
        return replace(self, **parts, trained=False)

    @property
    def _standard(self) -> DiagonalGaussian:
        return DiagonalGaussian.standard(self.shift.shape, self.shift)

    def _fixed_draws(self) -> Tensor:
        generator = torch.Generator(self.shift.device).manual_seed(0)
        eps = normal_noise(_MOMENT_DRAWS, self.shift[:1], generator)
        return self.at(eps.expand(-1, len(self.shift), -1))

    def _warp(self, points: Tensor, *, inverse: bool) -> tuple[Tensor, Tensor]:
        context = self.context.expand(*points.shape[:-1], -1)
        if self.trained:
            return self.flow(points, context, inverse)
        weights = {name: p.detach() for name, p in self.flow.named_parameters()}
        found = functional_call(self.flow, weights, (points, context, inverse))
        return cast(tuple[Tensor, Tensor], found)
