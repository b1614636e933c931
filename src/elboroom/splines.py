"""Neural spline flows (Durkan et al., 2019) of zuko, in the form that flows here are made of."""

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
