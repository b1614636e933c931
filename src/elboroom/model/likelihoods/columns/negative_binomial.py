"""Columns of counts that vary more than a Poisson's."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.model.likelihoods.columns.counts import Counts, draw_gamma, draw_poisson
from elboroom.model.likelihoods.wide import wide

_LEAST, _MOST = 1e-2, 30.0  # the initial scale


@dataclass(frozen=True)
class NegativeBinomialColumns(Counts):
    """P(x) = Γ(x + r)/(Γ(r) x!) (r/(r + μ))^r (μ/(r + μ))^x, with r = σ⁻².

    log μ = location + spread · b(l), and Var[x | z] = μ + σ² μ²: the dispersion is σ². It is a
    Poisson whose rate has a gamma distribution of mean μ and coefficient of variation σ.
    """

    has_scale = True

    @classmethod
    def scale_of(cls, mean: Tensor, std: Tensor) -> Tensor:
        """Compute σ whose variance is that of the column, (n,)."""
        # σ² = (Var[x] − μ)/μ²
        return ((std.square() - mean).clamp(min=0).sqrt() / mean).clamp(_LEAST, _MOST)

    @property
    def parameters(self) -> dict[str, Tensor]:
        """`log_rate` and `size`, log μ and r, each (..., n)."""
        return {"log_rate": self.log_rate, "size": self._size.expand_as(self.output)}

    def sample(self, generator: torch.Generator) -> Tensor:
        """Draw one x for each parameter, (..., n)."""
        gamma = draw_gamma(self._size, self.output, generator)
        return draw_poisson(self.mean * gamma / self._size, generator)

    def log_prob(self, x: Tensor) -> Tensor:
        """Compute log P(x_i | z) in nats of each value, (B, n) → (..., B, n)."""
        count, log_rate, r = wide(x), wide(self.log_rate), wide(self._size)
        # log P(x) = log Γ(x + r) − log Γ(r) − log x! + x log μ/r − (x + r) log(1 + μ/r)
        choices = torch.lgamma(count + r) - torch.lgamma(r) - torch.lgamma(count + 1)
        total = (count + r) * torch.log1p(log_rate.exp() / r)
        return (choices + count * (log_rate - r.log()) - total).to(self.output.dtype)

    @property
    def _size(self) -> Tensor:
        """The parameter r = σ⁻², (n,)."""
        return self.units.scale.square().reciprocal()

    @property
    def _share(self) -> Tensor:
        # ∂ log P / ∂ log μ = (x − μ) r/(r + μ)
        return self._size / (self._size + self.mean)
