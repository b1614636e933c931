"""Draws of the prior, among which fits look for their start."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.infer.known_model import KnownModel
from elboroom.infer.target import Target
from elboroom.model.decoding import decoded_at_a_time
from elboroom.model.posteriors import Density
from elboroom.model.vae import VAE
from elboroom.randomness import stream

_DRAWS = 4_096
_MOST_BYTES = 1 << 26  # of parameters; a likelihood may keep as much again


def scattered_prior_draws(prior: Density, generator: torch.Generator) -> Tensor:
    """Draw 4,096 prior points, (G, D), and double the distance of every second from the mean.

    The prior has one row. A row that is unlikely under it may have its posterior that far out.
    """
    draws = prior.sample(_DRAWS, generator)[:, 0]
    draws[::2] = 2 * draws[::2] - prior.mean
    return draws


@dataclass(frozen=True)
class PriorDraws:
    """Prior points z, (G, D), that all rows share."""

    z: Tensor

    @classmethod
    def scattered(cls, target: Target, generator: torch.Generator) -> "PriorDraws":
        """Draw as `scattered_prior_draws` does."""
        return cls(scattered_prior_draws(target.model.prior(1), generator))

    def log_joint_table(self, target: Target) -> Tensor:
        """Compute log p(x_seen, z) in nats of each draw and row, (G, B)."""
        return target.log_joint_table(self.z)


class KeptDraws(PriorDraws):
    """Scattered prior draws that a model has decoded once, for fits of any data.

    There are 4,096 of them, or as many as take 64 MiB once they are decoded.

    Args:
        model: the model; all values of its events are decoded.

    Example:
        >>> kept = infer.KeptDraws(model)
        >>> rows = x.split(1)  # as if they came one by one
        >>> fits = [infer.laplace(model, row, mask, generator=generator, kept=kept) for row in rows]
        >>> torch.cat([fit.mean for fit in fits]).shape
        torch.Size([3, 2])
    """

    @torch.no_grad()
    def __init__(self, model: VAE) -> None:
        self._source, fixed = KnownModel.of(model), model.fixed()
        most = max(1, _MOST_BYTES // (4 * math.prod(model.parameter_shape)))
        prior = fixed.prior(1)
        generator = stream(0, "kept draws", device=prior.mean.device)
        draws = scattered_prior_draws(prior, generator)
        super().__init__(draws[:most])
        together = decoded_at_a_time(fixed, draws.new_empty(0, *model.event_shape))
        self._decoded = [fixed.decode(z) for z in self.z.split(together)]

    def require_of(self, source: KnownModel) -> None:
        """Check that a model decodes these draws as it is now.

        Raises:
            UsageError: it has other weights.
        """
        self._source.require_kept(source, "draws", KeptDraws)

    def log_joint_table(self, target: Target) -> Tensor:
        """Compute log p(x_seen, z) in nats of each draw and row, (G, B)."""
        x, mask = target.given.data
        tables = [likelihood.log_prob_table(x, mask) for likelihood in self._decoded]
        return target.model.prior(1).log_prob(self.z[:, None]) + torch.cat(tables)
