"""Predictive densities of columns: p(x_j | seen) as a mixture over draws of z."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from elboroom.explorer.left_out import left_out
from elboroom.infer.diagnostics import RELIABLE_K_HAT, pareto_k
from elboroom.model.likelihoods import Likelihood
from elboroom.model.vae import VAE


@dataclass(frozen=True)
class Mixture:
    """p(x | seen) = Σ_s w_s p(x | z_s) over S draws of z.

    Attributes:
        model: the model.
        parameter: the decoder's output at each z, (S, *parameter).
        log_weights: log w, (S,), normalised.
    """

    model: VAE
    parameter: Tensor
    log_weights: Tensor

    @classmethod
    def of(cls, model: VAE, z: Tensor) -> "Mixture":
        """Return the mixture over equally likely draws z (S, D)."""
        return cls(model, model.decoder_output(z), z.new_full((len(z),), -math.log(len(z))))

    def column(self, place: int) -> "ColumnMixture":
        """Return the density of one value of the flat event."""
        needed = torch.zeros(self.model.event_shape, dtype=torch.bool)
        needed.view(-1)[place] = True
        observed = self.model.likelihood
        values, entries = observed.density.restriction(needed)
        small = observed.restricted_to(values, self.model.event_shape)
        assert small is not None  # the densities of a run that has columns
        return ColumnMixture(small(self.parameter.flatten(1)[:, None, entries]), self.log_weights)

    def without(self, places: Sequence[int], x: Tensor) -> "Mixture":
        """Return the mixture given all that is seen but some seen values of x (D,)."""
        log_p = torch.zeros_like(self.log_weights)
        for place in places:
            log_p = log_p + self.column(place).log_prob(x[place, None])[:, 0]
        return Mixture(self.model, self.parameter, left_out(self.log_weights, log_p))

    @property
    def is_reliable(self) -> bool:
        """True if the weights are even enough for their mixture to be relied on."""
        return pareto_k(self.log_weights[:, None]).item() < RELIABLE_K_HAT


@dataclass(frozen=True)
class ColumnMixture:
    """The density of one column, p(x_j | seen) = Σ_s w_s p(x_j | z_s).

    Attributes:
        likelihood: p(x_j | z_s), (S, 1, 1).
        log_weights: log w, (S,), normalised.
    """

    likelihood: Likelihood
    log_weights: Tensor

    def log_prob(self, values: Tensor) -> Tensor:
        """Compute log p(x_j | z_s) in nats at some values (G,), (S, G)."""
        return self.likelihood.log_prob_per_value(values[:, None])[..., 0]

    @cached_property
    def mean(self) -> float:
        """E[x_j | seen]."""
        return float(self.log_weights.exp() @ self.likelihood.mean.flatten())

    def sample(self, generator: torch.Generator) -> Tensor:
        """Draw x_j once for each draw of z, (S,)."""
        return self.likelihood.sample(generator).flatten()
