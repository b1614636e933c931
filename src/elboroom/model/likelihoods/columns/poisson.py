"""Columns of counts without overdispersion."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.model.likelihoods.columns.counts import Counts, draw_poisson
from elboroom.model.likelihoods.wide import wide


@dataclass(frozen=True)
class PoissonColumns(Counts):
    """P(x) = e^(−μ) μˣ / x!, with log μ = location + spread · b(l)."""

    @property
    def parameters(self) -> dict[str, Tensor]:
        """`log_rate`, (..., n)."""
        return {"log_rate": self.log_rate}

    def sample(self, generator: torch.Generator) -> Tensor:
        """Draw one x for each parameter, (..., n)."""
        return draw_poisson(self.mean, generator)

    def log_prob(self, x: Tensor) -> Tensor:
        """Compute log P(x_i | z) in nats of each value, (B, n) → (..., B, n)."""
        count, log_rate = wide(x), wide(self.log_rate)
        # log P(x) = x log μ − μ − log x!
        found = count * log_rate - log_rate.exp() - torch.lgamma(count + 1)
        return found.to(self.output.dtype)

    @property
    def _share(self) -> Tensor:
        # ∂ log P / ∂ log μ = x − μ
        return torch.ones_like(self.output)
