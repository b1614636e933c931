"""The 256 grey levels of a byte, as probabilities."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.model.likelihoods import levels
from elboroom.model.likelihoods.likelihood import Likelihood, seen, total


@dataclass(frozen=True)
class DiscretizedLogistic(Likelihood):
    """A logistic of location μ (..., *event) and scale s, rounded to the levels k/255."""

    location: Tensor
    scale: Tensor

    takes = levels.TAKES
    in_bits = True
    has_scale = True

    @staticmethod
    def fits(x: Tensor) -> Tensor:
        """Return True where the likelihood accepts a value of x."""
        return levels.are_levels(x)

    @staticmethod
    def scale_of(std: Tensor) -> Tensor:
        """Compute the scale s of a logistic, whose standard deviation is s π/√3."""
        return std / levels.LOGISTIC_STD

    @property
    def mean(self) -> Tensor:
        """E[x], (..., *event)."""
        return levels.mean_level(self.location, self.scale)

    def sample(self, generator: torch.Generator) -> Tensor:
        """Draw levels, (..., *event)."""
        return levels.draw(self.location, self.scale, generator)

    def log_prob(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute log p(x_seen | z) in nats of x (B, *event), (..., B)."""
        return total(levels.log_mass(seen(x, mask), self.location, self.scale, mask), x, mask)

    def log_prob_table(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute log p(x_seen | z) in nats of B events under each of G parameters, (G, B).

        It takes one event at a time.
        """
        masks = [None] * len(x) if mask is None else mask.split(1)
        wide = DiscretizedLogistic(self.location[:, None], self.scale)
        rows = [wide.log_prob(row, m) for row, m in zip(x.split(1), masks, strict=True)]
        return torch.cat(rows, -1)

    def score(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute ∂ log p(x_seen | z) by the location, (..., B, *event)."""
        found = levels.mass(seen(x, mask), self.location, self.scale, mask)
        return seen(found.by_location, mask)

    def information(self, mask: Tensor | None = None) -> Tensor:
        """Compute the Fisher information of seen pixels on the location, (..., B, *event)."""
        return seen(levels.information(self.location, self.scale)[0], mask)
