"""Neural spline flows (Durkan et al., 2019) of zuko, in the form that flows here are made of."""

from typing import cast

import torch
import zuko
from torch import Tensor, nn

_BINS = 5
_HIDDEN_LAYER = "hyper.0"  # of the networks that say the splines; one latent has none


class Spline(nn.Module):
    """ε ↦ u, autoregressive: in parallel, or inverted latent by latent.

    Args:
        latents: D.
        width: of the hidden layer that says each spline.
        transforms: splines, one after the other, in opposite orders.
    """

    def __init__(self, latents: int, width: int, transforms: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):  # zuko's own first weights are not used
            flow = zuko.flows.NSF(
                latents, transforms=transforms, hidden_features=(width,), bins=_BINS
            )
        self.transform = flow.transform

    def forward(self, points: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        """Points (..., D) → where they go (..., D), with the log-determinant (...)."""
        with torch.autocast(points.device.type, enabled=False):
            transform = self.transform()
            return (transform.inv if inverse else transform).call_and_ladj(points)

    def named(self, weights: Tensor) -> dict[str, Tensor]:
        """The module's parameters, from one vector (P,)."""
        shapes = {name: p.shape for name, p in self.named_parameters()}
        parts = weights.split([shape.numel() for shape in shapes.values()])
        return {name: w.view(shapes[name]) for name, w in zip(shapes, parts, strict=True)}

    def first_weights(self, generator: torch.Generator) -> Tensor:
        """(P,): random in hidden layers, zero in what the splines are read from: f = id."""
        parts = []
        for name, p in self.named_parameters():
            bound = p.shape[-1] ** -0.5 if _HIDDEN_LAYER in name else 0.0
            uniform = torch.rand(p.shape, generator=generator, device=generator.device)
            parts.append(bound * (2 * uniform - 1).flatten())
        return torch.cat(parts)


CONTEXT = 32
"""Numbers by which a row steers the flow."""
_TRANSFORMS = 4
_WIDTH = 64


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
