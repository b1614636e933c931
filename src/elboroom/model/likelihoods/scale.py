"""The one noise scale of all pixels, fixed or learned."""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from elboroom.model.likelihoods.discretized_logistic import DiscretizedLogistic
from elboroom.model.likelihoods.gaussian import GaussianPixels

_FIRST = 0.25
_LEAST = 1e-3  # a quarter of a grey level: without a floor, pixels that never vary drive σ to 0


class SharedScale(nn.Module):
    """Parameter → density with one scale for all pixels, which is trained unless it is given.

    Args:
        kind: of the densities.
        noise: the scale; None learns it, above a floor of 0.001.
    """

    def __init__(
        self, kind: type[GaussianPixels] | type[DiscretizedLogistic], noise: float | None
    ) -> None:
        super().__init__()
        self.kind = kind
        if noise is None:
            self.log_excess = nn.Parameter(torch.tensor(_FIRST - _LEAST).log())
        else:
            self.register_buffer("given", torch.tensor(noise), persistent=False)

    @property
    def scale(self) -> Tensor:
        """σ or s, ()."""
        if hasattr(self, "given"):
            return cast(Tensor, self.given)
        # s = 0.001 + exp ρ
        return _LEAST + self.log_excess.exp()

    def forward(self, parameter: Tensor) -> GaussianPixels | DiscretizedLogistic:
        """The density of each parameter, (..., *event)."""
        return self.kind(parameter, self.scale)

    __call__: Callable[[Tensor], GaussianPixels | DiscretizedLogistic]
