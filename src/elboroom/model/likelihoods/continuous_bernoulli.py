"""Grey levels as real numbers in [0, 1]."""

import torch
from torch import Tensor

from elboroom.model.likelihoods.exponential import ExponentialFamily
from elboroom.randomness import uniforms

_SMALL = 0.1  # below this |l| the closed forms cancel, and their series are used
_LARGEST_LOGIT = 40.0  # |l| up to which the logit of a mean image is searched
_HALVINGS = 50


class ContinuousBernoulli(ExponentialFamily):
    """p(x | l) = exp(x l) l / (exp l − 1) on [0, 1] for each pixel, with logits l (..., *event).

    Loaiza-Ganem & Cunningham, *The continuous Bernoulli* (2019), with λ = σ(l). It is a density, so
    its log may be positive.
    """

    takes = "in [0, 1]"
    is_density = True

    @staticmethod
    def fits(x: Tensor) -> Tensor:
        """Return True where the likelihood accepts a value of x."""
        return (x >= 0) & (x <= 1)

    @classmethod
    def parameter_of(cls, mean: Tensor, std: Tensor) -> Tensor:
        """Compute the logits of a mean image by bisection."""
        low, high = torch.full_like(mean, -_LARGEST_LOGIT), torch.full_like(mean, _LARGEST_LOGIT)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            below = ContinuousBernoulli(middle).mean < mean
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return low

    @property
    def mean(self) -> Tensor:
        """E[x], (..., *event)."""
        # A′(l) = 1/(1 − exp −l) − 1/l = 1/2 + l/12 − l³/720 + …
        series = 0.5 + self.logits / 12 - self.logits**3 / 720
        large = self._away_from_zero()
        return torch.where(self._small, series, -1 / torch.expm1(-large) - 1 / large)

    @property
    def variance(self) -> Tensor:
        """Var[x], (..., *event)."""
        # A″(l) = 1/l² − 1/(4 sinh² l/2) = 1/12 − l²/240 + l⁴/6048 − …
        series = 1 / 12 - self.logits**2 / 240 + self.logits**4 / 6048
        large = self._away_from_zero().abs()
        falling = torch.exp(-large) / torch.expm1(-large).square()
        return torch.where(self._small, series, large**-2 - falling)

    def sample(self, generator: torch.Generator) -> Tensor:
        """Draw pixels in [0, 1], (..., *event), by the inverse distribution function."""
        u = uniforms(self.logits.shape, self.logits, generator)
        rate = -self._away_from_zero().abs()
        # x = log(1 + u (exp l − 1)) / l for l < 0; for l > 0, 1 − x has the logit −l
        low = torch.log1p(u * torch.expm1(rate)) / rate
        series = u + self.logits * u * (1 - u) / 2
        return torch.where(self._small, series, torch.where(self.logits > 0, 1 - low, low))

    def log_partition(self) -> Tensor:
        """Compute A(l) = log (exp l − 1)/l, (..., *event)."""
        # A(l) = l/2 + log (sinh l/2)/(l/2) = l/2 + l²/24 − l⁴/2880 + …
        series = self.logits / 2 + self.logits**2 / 24 - self.logits**4 / 2880
        large = self._away_from_zero()
        size = large.abs()
        closed = large.clamp(min=0) + torch.log(-torch.expm1(-size)) - size.log()
        return torch.where(self._small, series, closed)

    @property
    def _small(self) -> Tensor:
        return self.logits.abs() < _SMALL

    def _away_from_zero(self) -> Tensor:
        """Replace logits near 0, where the series hold: even an unused 0/0 has a gradient."""
        return self.logits.masked_fill(self._small, 1.0)
