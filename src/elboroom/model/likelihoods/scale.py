"""The one noise scale of all pixels, fixed or learned."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from elboroom.model.likelihoods.likelihood import Likelihood

_INITIAL = 0.25
_LEAST = 1e-3  # a quarter of a grey level; without a floor, pixels that never vary drive σ to 0


class SharedScale(nn.Module):
    """A map from parameters to densities that share one scale, which is learned unless given.

    Args:
        kind: class of the densities, one that has a scale.
        noise: the scale; None learns it, above a floor of 0.001.
    """

    given: Tensor

    def __init__(self, kind: Callable[[Tensor, Tensor], Likelihood], noise: float | None) -> None:
        super().__init__()
        self.kind = kind
        self.is_learned = noise is None
        if noise is None:
            self.log_excess = nn.Parameter(torch.tensor(_INITIAL - _LEAST).log())
        else:
            self.register_buffer("given", torch.tensor(noise), persistent=False)

    @property
    def scale(self) -> Tensor:
        """σ or s, ()."""
        if not self.is_learned:
            return self.given
        # s = 0.001 + exp ρ
        return _LEAST + self.log_excess.exp()

    def forward(self, parameter: Tensor) -> Likelihood:
        """Return the density of each parameter, (..., *event)."""
        return self.kind(parameter, self.scale)

    __call__: Callable[[Tensor], Likelihood]
