"""The two normalising flows of the library, made of zuko's, with initial weights of their own."""

from collections.abc import Callable
from typing import TypeVar, cast

import torch
import zuko
from torch import Tensor, nn

from elboroom.model.networks.layers import as_input_of

CONTEXT = 32
"""Number of context values by which a row steers a Coupling."""
_BINS = 5
_COUPLINGS = 4
_COUPLING_WIDTH = 64
_HIDDEN_LAYER = "hyper.0"  # hidden layer of zuko's hyper-networks; with one latent there is none

Flow = TypeVar("Flow", bound=nn.Module)


class Spline(nn.Module):
    """A neural spline flow ε ↦ u, autoregressive: Durkan et al. (2019).

    It runs in parallel in one direction, and latent by latent in the other.

    Args:
        latents: D.
        width: width of the hidden layer that computes each spline.
        transforms: number of splines in sequence, with alternating orders of the latents.
    """

    def __init__(self, latents: int, width: int, transforms: int) -> None:
        super().__init__()
        options = {"transforms": transforms, "hidden_features": (width,), "bins": _BINS}
        self.transform = _build(lambda: zuko.flows.NSF(latents, **options)).transform

    def forward(self, points: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        """Transform points (..., D) → (..., D), with the log-determinant (...)."""
        points = as_input_of(self, points)
        with torch.autocast(points.device.type, enabled=False):
            transform = self.transform()
            return (transform.inv if inverse else transform).call_and_ladj(points)

    def named(self, weights: Tensor) -> dict[str, Tensor]:
        """Split one vector (P,) into the module's parameters."""
        shapes = {name: p.shape for name, p in self.named_parameters()}
        parts = weights.split([shape.numel() for shape in shapes.values()])
        return {name: w.view(shapes[name]) for name, w in zip(shapes, parts, strict=True)}

    def first_weights(self, generator: torch.Generator) -> Tensor:
        """Draw initial weights (P,) with which f = id: the layer that sets the splines is 0."""
        parts = []
        for name, p in self.named_parameters():
            uniform = torch.rand(p.shape, generator=generator, device=generator.device)
            parts.append(_initial_bound(name, p) * (2 * uniform - 1).flatten())
        return torch.cat(parts)


class Coupling(nn.Module):
    """ε ↦ u given a context, by affine couplings of each half of the latents on the other.

    Dinh et al., *Density estimation using Real NVP* (2017), with zuko. Both directions are cheap. A
    single latent has no other half: its context alone scales and shifts it.

    Args:
        latents: D.
        generator: random generator that draws initial weights, with which u = ε.
    """

    def __init__(self, latents: int, generator: torch.Generator) -> None:
        super().__init__()
        self.transforms = _build(lambda: nn.ModuleList(_couplings(latents)))
        for name, parameter in self.named_parameters():
            bound = _initial_bound(name, parameter)
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def forward(self, points: Tensor, context: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        """Transform points (..., B, D) → (..., B, D), with the log-determinant (..., B)."""
        points, context = (as_input_of(self, given) for given in (points, context))
        log_det = torch.zeros_like(points[..., 0])
        steps = list(self.transforms)[:: -1 if inverse else 1]
        with torch.autocast(points.device.type, enabled=False):
            for step in steps:
                transform = step(context)
                points, moved = (transform.inv if inverse else transform).call_and_ladj(points)
                log_det = log_det + moved
        return points, log_det


def _couplings(latents: int) -> list[nn.Module]:
    order = torch.arange(latents)
    return [
        zuko.flows.MaskedAutoregressiveTransform(
            latents,
            CONTEXT,
            passes=min(2, latents),
            order=cast(torch.LongTensor, order if i % 2 == 0 else order.flip(0)),
            hidden_features=(max(_COUPLING_WIDTH, latents),),
        )
        for i in range(_COUPLINGS)
    ]


def _build(make: Callable[[], Flow]) -> Flow:
    """Build a zuko module whose initial weights are replaced; the global random state stays."""
    with torch.random.fork_rng(devices=[]):
        return make()


def _initial_bound(name: str, parameter: Tensor) -> float:
    """Return 1/√fan_in for a hidden layer, and 0 for the layer that sets the transform."""
    return parameter.shape[-1] ** -0.5 if _HIDDEN_LAYER in name else 0.0
