"""Columns of counts that vary more than a Poisson's."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.model.likelihoods.columns.counts import (
    Counts,
    deviation,
    draw_gamma,
    draw_poisson,
    log_factorial_rest,
    stirling_error,
)

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

    def sample(self, generator: torch.Generator) -> Tensor:
        """Draw one x for each parameter, (..., n)."""
        gamma = draw_gamma(self._size, self.output, generator)
        return draw_poisson(self.mean * gamma / self._size, generator)

    def log_prob(self, x: Tensor) -> Tensor:
        """Compute log P(x_i | z) in nats of each value, (B, n) → (..., B, n)."""
        above, log_ratio = deviation(x, self.log_rate)
        r = self._size
        n = x + r
        # log P(x) = −n log((r + μ)/n) + x log μ/x − ½ log n/r + δ(n) − δ(r)
        #            − [log x! − x log x + x], with n = x + r and Stirling's error δ
        volume = 0.5 * torch.log1p(x / r) - stirling_error(n) + stirling_error(r)
        return log_ratio - n * torch.log1p(above / n) - volume - log_factorial_rest(x)

    @property
    def _size(self) -> Tensor:
        """The parameter r = σ⁻², (n,)."""
        return self.units.scale.square().reciprocal()

    @property
    def _share(self) -> Tensor:
        # ∂ log P / ∂ log μ = (x − μ) r/(r + μ)
        return self._size / (self._size + self.mean)
