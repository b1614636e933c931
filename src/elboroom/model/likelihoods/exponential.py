"""Densities of one pixel, exp(x l − A(l)), whose natural parameter l the decoder says."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.model.likelihoods.likelihood import seen, total


@dataclass(frozen=True)
class ExponentialFamily(ABC):
    """A product over pixels of p(x | l) = exp(x l − A(l)), with given l (..., *event)."""

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
    def sample(self, generator: torch.Generator) -> Tensor:
        """One draw of x for every parameter, (..., *event)."""

    @abstractmethod
    def log_partition(self) -> Tensor:
        """A(l), (..., *event)."""

    def log_prob(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """log p(x_seen | z) in nats: logits (..., B, *event), x (B, *event) → (..., B)."""
        # log p(x_seen | z) = Σ_i m_i x_i l_i − Σ_i m_i A(l_i): two sums are faster than
        # that of the differences
        linear = total(seen(x, mask) * self.logits, x, None)
        return linear - total(self.log_partition(), x, mask)

    def log_prob_table(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Every event (B, *event) under every parameter (G, *event) by matrix products, (G, B)."""
        logits, target = self.logits.flatten(1), seen(x, mask).flatten(1)
        log_sum = self.log_partition().flatten(1)
        # log p(x_b | z_g) = l_g · (m_b ∘ x_b) − A(l_g) · m_b
        norm = log_sum.sum(-1, keepdim=True) if mask is None else log_sum @ mask.flatten(1).to(x).T
        return logits @ target.T - norm

    def score(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """∂ log p(x_seen | z) by the logits, (..., B, *event)."""
        # m_i (x_i − E[x_i])
        return seen(seen(x, mask) - self.mean, mask)

    def information(self, mask: Tensor | None = None) -> Tensor:
        """Fisher information of the seen pixels on the logits, −∂² log p, (..., B, *event)."""
        # m_i Var[x_i]: for a natural parameter it does not depend on x
        return seen(self.variance, mask)
