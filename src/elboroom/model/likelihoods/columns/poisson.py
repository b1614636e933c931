"""Columns of counts without overdispersion."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.model.likelihoods.columns.counts import (
    Counts,
    deviation,
    draw_poisson,
    log_factorial_rest,
)


@dataclass(frozen=True)
class PoissonColumns(Counts):
    """P(x) = e^(−μ) μˣ / x!, with log μ = location + spread · b(l)."""

    def sample(self, generator: torch.Generator) -> Tensor:
        """Draw one x for each parameter, (..., n)."""
        return draw_poisson(self.mean, generator)

    def log_prob(self, x: Tensor) -> Tensor:
        """Compute log P(x_i | z) in nats of each value, (B, n) → (..., B, n)."""
        above, log_ratio = deviation(x, self.log_rate)
        # log P(x) = −[μ − x − x log μ/x] − [log x! − x log x + x]
        return log_ratio - above - log_factorial_rest(x)

    @property
    def _share(self) -> Tensor:
        # ∂ log P / ∂ log μ = x − μ
        return torch.ones_like(self.output)
