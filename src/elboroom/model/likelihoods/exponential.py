"""Densities exp(x l − A(l)) of a pixel, with the decoder's output as natural parameter l."""

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from elboroom.model.likelihoods.likelihood import Likelihood, seen, total


@dataclass(frozen=True)
class ExponentialFamily(Likelihood):
    """A product over pixels of p(x | l) = exp(x l − A(l)), with logits l (..., *event)."""

    logits: Tensor

    @property
    @abstractmethod
    def mean(self) -> Tensor:
        """E[x] = A′(l), (..., *event)."""

    @property
    @abstractmethod
    def variance(self) -> Tensor:
        """Var[x] = A″(l), (..., *event)."""

    @abstractmethod
    def log_partition(self) -> Tensor:
        """Compute A(l), (..., *event)."""

    def log_prob(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute log p(x_seen | z) in nats of x (B, *event), (..., B)."""
        # log p(x_seen | z) = Σ_i m_i x_i l_i − Σ_i m_i A(l_i); two sums are faster than the sum
        # of the differences
        linear = total(seen(x, mask) * self.logits, x, None)
        return linear - total(self.log_partition(), x, mask)

    def log_prob_table(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute log p(x_seen | z) in nats of B events under each of G parameters, (G, B)."""
        logits, target = self.logits.flatten(1), seen(x, mask).flatten(1)
        # log p(x_b | z_g) = l_g · (m_b ∘ x_b) − A(l_g) · m_b
        partition = self._kept_log_partition
        norm = (
            partition.sum(-1, keepdim=True) if mask is None else partition @ mask.flatten(1).to(x).T
        )
        return logits @ target.T - norm

    @cached_property
    def _kept_log_partition(self) -> Tensor:
        """A(l), (G, L), for the tables of other events."""
        return self.log_partition().flatten(1)

    def score(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute ∂ log p(x_seen | z) by the logits, (..., B, *event)."""
        # m_i (x_i − E[x_i])
        return seen(seen(x, mask) - self.mean, mask)

    def information(self, mask: Tensor | None = None) -> Tensor:
        """Compute the Fisher information of seen pixels on the logits, (..., B, *event)."""
        # −∂² log p = m_i Var[x_i]; for a natural parameter it does not depend on x
        return seen(self.variance, mask)
