"""The mean of a costly value over rows: a cheap one of all rows, and the change of a random subset.

This is double sampling with the difference estimator: Cochran, *Sampling Techniques* (1977),
section 7.2 with b = 1, and chapter 12.

The subset is drawn in two steps. The variance in a *pilot* decides how many further rows are
*chosen*. If pilot and chosen rows had equal weights, then the mean would be biased, because a pilot
of large changes asks for more rows, among which it counts less. The pilot therefore stands for
itself alone, and the chosen rows stand for all rows outside the pilot, of which they are a simple
random sample whatever the pilot was.

The cheap value may be noisy, as a bound from few draws is. With a *near* value of the same
expectation and less noise in the subset, the change from it to the costly value varies less, and
fewer rows are needed. The noise of the cheap values of all other rows then stays in the mean.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from elboroom.errors import IncomparableError
from elboroom.evaluation.estimate import Estimate

OUTSIDE, PILOT, CHOSEN = 0, 1, 2
"""The stages of a row: outside of the subset, in its pilot, and chosen after the pilot."""

_CAUTION = 3.0  # standard errors of the pilot's variance that are added to it


@dataclass(frozen=True)
class DoubleSample:
    """Values of N rows: a cheap one of every row, and a costly one of a random subset.

    Attributes:
        few: (N,), the cheap values.
        many: (N,), the costly values; not looked at outside of the subset.
        stage: (N,) uint8, `OUTSIDE`, `PILOT` or `CHOSEN`.
        near: (N,), values of the same expectation as `few`, from other draws; not looked at outside
            of the subset. None for `few` itself, which then has no noise.
    """

    few: Tensor
    many: Tensor
    stage: Tensor
    near: Tensor | None = None

    @cached_property
    def _known(self) -> Tensor:
        return self.stage > OUTSIDE

    @cached_property
    def change(self) -> Tensor:
        """The costly value minus the near one of each row of the subset, (n,) float64."""
        return self.many[self._known].double() - self._near

    @cached_property
    def _near(self) -> Tensor:
        near = self.few if self.near is None else self.near
        return near[self._known].double()

    @cached_property
    def _step(self) -> Tensor:
        return self.stage[self._known]

    def estimate(self, noun: str = "image") -> Estimate:
        """Estimate the mean of the costly value, and its standard error, for a word for a row.

        The mean is that over all N rows without bias, and so of the population of which they are a
        sample. The standard error is about the population, as that of `Estimate.of`; with the whole
        part as the subset both are the same. It has two sources: N rows, and the n of the subset.
        """
        reason = self._why_unknown(noun)
        # mean = 1/N Σ f + 1/N Σ w (many − near),  f = near in the subset, and few outside
        cheap = self.few.double().masked_scatter(self._known, self._near)
        added = (self._weights * self.change).sum() / len(self.few)
        mean = (cheap.mean() + added).item()
        if reason is not None:
            return Estimate(mean, math.nan, reason)
        # Var = S²_many / N + (the variance of the subset, given the rows)
        variance = self._variance_of_many / len(self.few) + self.added_error**2
        return Estimate(mean, math.sqrt(variance))

    @property
    def added_error(self) -> float:
        """The standard error that the subset adds: 0 if all rows are in it, NaN if unknown."""
        total, pilot, chosen = self._counts
        outside = total - pilot - chosen
        # Var = (that of the change) + (N − n)/N² τ²,  τ² the noise of a cheap value
        return math.sqrt(self._error_of_change**2 + outside / total**2 * self._noise)

    @property
    def _noise(self) -> float:
        """τ² = Var[few | row], from above: the near value adds noise of its own to few − near."""
        if self.near is None or not len(self._near):
            return 0.0
        return (self.few[self._known].double() - self._near).square().mean().item()

    @property
    def _error_of_change(self) -> float:
        total, pilot, chosen = self._counts
        rest = total - pilot
        if chosen == rest:
            return 0.0
        # With a pilot alone, it is a simple random sample of all rows.
        share, n, of = (rest / total, chosen, rest) if chosen else (1.0, pilot, total)
        # (R/N)² S²_d (1/m − 1/R), over the m chosen of the R rows outside of the pilot
        return share * self._spread * math.sqrt(1 / n - 1 / of)

    @property
    def _spread(self) -> float:
        """S_d, by the chosen rows, on which nothing was decided; by all if they are few."""
        chosen = self.change[self._step == CHOSEN]
        return (chosen if 2 * len(chosen) >= len(self.change) else self.change).std().item()

    @property
    def _counts(self) -> tuple[int, int, int]:
        """The number of rows, of those in the pilot, and of those chosen after it."""
        pilot = int((self._step == PILOT).sum())
        return len(self.few), pilot, len(self._step) - pilot

    @property
    def _weights(self) -> Tensor:
        """The number of rows that each row of the subset stands for, (n,); they sum to N."""
        total, pilot, chosen = self._counts
        if not chosen:
            return torch.full_like(self.change, total / pilot if pilot else math.nan)
        of_chosen = (total - pilot) / chosen
        return torch.ones_like(self.change).masked_fill(self._step == CHOSEN, of_chosen)

    @property
    def _variance_of_many(self) -> float:
        """S² of the costly value over rows.

        That of the cheap value is known of all rows; the regression of the change on it, and what
        remains, are known of the subset.
        """
        few = self.few.double()
        change = self.many[self._known].double() - few[self._known]
        of_subset = torch.stack([few[self._known], change]).cov()
        slope = of_subset[0, 1] / of_subset[0, 0] if of_subset[0, 0] > 0 else torch.tensor(0.0)
        # S²_many = (1 + b)² S²_few + S²_d − b² S²_few,n,  b = Cov_n[few, d] / S²_few,n
        remainder = of_subset[1, 1] - slope.square() * of_subset[0, 0]
        return ((1 + slope).square() * few.var() + remainder.clamp(min=0)).item()

    def _why_unknown(self, noun: str) -> str | None:
        values = torch.cat([self.few.double(), self.change])
        infinite = int((~values.isfinite()).sum())
        if infinite:
            return f"{infinite:,} of {len(values):,} values are not finite"
        few = {0: f"no {noun} in the subset", 1: f"one {noun} in the subset"}
        return few.get(len(self.change))


def rows_needed(change: Tensor, total: int, error: float, noise: Tensor | None = None) -> int:
    """Return how many rows to choose after a pilot, so that the subset adds an error at most.

    Args:
        change: (n₀,), the costly value minus the near one of each row of the pilot. Its variance
            is raised by three of its own standard errors, so that the error is seldom exceeded. A
            pilot without the few largest changes can still ask for too few rows.
        total: N, the number of all rows.
        error: the standard error that the subset may add, above 0.
        noise: (n₀,), the near value minus the cheap one; None if they are the same.
    """
    rest = total - len(change)
    variance = _cautious_variance(change.double())
    of_noise = 0.0 if noise is None else noise.double().square().mean().item()
    if not (rest and 0 < variance < math.inf and of_noise < math.inf and error >= 0):
        return min(rest, 1)
    # a (1/m − 1/R) + b (R − m) = error²,  a = (R/N)² S²_d,  b = τ²/N²
    a = (rest / total) ** 2 * variance
    b = of_noise / total**2
    c = error**2 + a / rest - b * rest
    least = 2 * a / (c + math.sqrt(c**2 + 4 * a * b))
    return min(rest, math.ceil(least))


def _cautious_variance(change: Tensor) -> float:
    """Return the variance of a sample plus three standard errors of that variance."""
    apart = (change - change.mean()).square()
    # Var[S²] ≈ (m₄ − m₂²) / n
    return (change.var() + _CAUTION * apart.std(correction=0) / math.sqrt(len(change))).item()


def common_stage(mine: Tensor | None, theirs: Tensor | None) -> Tensor | None:
    """Return the stages of the rows that two subsets of the same rows share, (N,).

    Args:
        mine: stages of one; None if all rows have the costly value.
        theirs: stages of the other.

    Raises:
        IncomparableError: if neither contains the other with the same pilot, as with another seed.
    """
    if mine is None or theirs is None:
        return theirs if mine is None else mine
    smaller, larger = sorted((mine, theirs), key=lambda stage: int((stage > OUTSIDE).sum()))
    if not torch.equal(smaller, torch.where(smaller > OUTSIDE, larger, OUTSIDE)):
        raise IncomparableError(
            "these results cannot be compared",
            why="their subsets of rows were drawn with different seeds",
            fix="evaluate both with the same seed, or with error = 0, which takes all rows",
        )
    return smaller
