"""Draws of z from the posterior of a row, and what the model decodes from them."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from elboroom.explorer.left_out import left_out, surprise
from elboroom.infer.posterior import Posterior
from elboroom.model.likelihoods import Likelihood
from elboroom.model.vae import VAE

_DRAWS = 256


@dataclass(frozen=True)
class DecodedDraws:
    """S draws of p(z | x_seen) of one row, decoded once for all that is made of them.

    Attributes:
        model: the model.
        x: (1, *event).
        seen: like x, True where a value is seen.
        z: (S, 1, D).
        likelihood: of x given each z, (S, 1, *event).
    """

    model: VAE
    x: Tensor
    seen: Tensor
    z: Tensor
    likelihood: Likelihood

    @classmethod
    def of(cls, model: VAE, x: Tensor, seen: Tensor, posterior: Posterior) -> "DecodedDraws":
        """Draw from a posterior given the seen values of x, both (1, *event)."""
        z = posterior.sample(_DRAWS)
        return cls(model, x, seen, z, model.decode(z))

    @property
    def mean(self) -> Tensor:
        """E[x | x_seen], (*event), with seen values as given."""
        mean = self.likelihood.given(self.x, self.seen).mean_of_draws
        return torch.where(self.seen, self.x, mean)[0]

    def completions(self, count: int, generator: Generator) -> Tensor:
        """Draw from p(x | x_seen), each with its own z, (count, *event), count ≤ S."""
        unseen = self.model.decode(self.z[:count]).given(self.x, self.seen)
        return torch.where(self.seen, self.x, unseen.sample(generator))[:, 0]

    @property
    def surprise(self) -> Tensor:
        """−log p(x_i | x_seen without i) of seen values in nats, (*event), NaN elsewhere."""
        log_p = self.likelihood.log_prob_per_value(self.x, self.seen)
        found = surprise(left_out(torch.zeros_like(log_p), log_p), log_p)
        return found.masked_fill(~self.seen, torch.nan)[0]
