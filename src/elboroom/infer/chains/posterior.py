"""A posterior made of the draws of Markov chains."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from elboroom.errors import UsageError, require_positive
from elboroom.infer.arviz_tree import ArvizDraws
from elboroom.infer.diagnostics import LEAST_DRAWS, chain_ess, split_rhat
from elboroom.infer.posterior import Posterior
from elboroom.model.arguments import checked

CHAINS = 4
"""The default number of chains of each row."""


@dataclass(frozen=True, repr=False)
class ChainPosterior(Posterior):
    """Draws of Markov chains.

    Attributes:
        target: log p(x_seen, z).
        draws: (T, C, B, D), T draws of each of C chains.
        acceptance: (B,), the share of proposals that were accepted; None if all are.
        generator: random generator of `sample`.
        stats: named values of each draw, (T, C, B), by the names of ArviZ.

    Example:
        >>> chains = infer.pseudo_gibbs(model, x, mask, generator=generator, sweeps=50)
        >>> chains.draws.shape, chains.sample(10).shape
        (torch.Size([50, 4, 3, 2]), torch.Size([10, 3, 2]))
        >>> list(chains.diagnostics)
        ['rhat', 'ess']
    """

    draws: Tensor = field()
    acceptance: Tensor | None
    generator: torch.Generator = field(repr=False)
    stats: Mapping[str, Tensor] = field(default_factory=dict, repr=False, kw_only=True)

    @property
    def mean(self) -> Tensor:
        """E[z | x_seen], (B, D)."""
        return self.draws.mean((0, 1))

    @property
    def covariance(self) -> Tensor:
        """Cov[z | x_seen], (B, D, D)."""
        centred = (self.draws - self.mean).flatten(0, 1)
        return torch.einsum("kbi,kbj->bij", centred, centred) / len(centred)

    @cached_property
    def rhat(self) -> Tensor:
        """The largest split R̂ of a row's latents, (B,): 1 when its chains agree.

        Raises:
            UsageError: if the chains have fewer than four draws; so do `ess` and `converged`.
        """
        return split_rhat(self.draws).amax(-1)

    @cached_property
    def ess(self) -> Tensor:
        """The smallest effective sample size of a row's latents, (B,)."""
        return chain_ess(self.draws).amin(-1)

    @property
    def diagnostics(self) -> dict[str, Tensor]:
        """R̂, the effective sample size, and the acceptance rate if proposals can be rejected.

        The first two are left out of chains with fewer than four draws.
        """
        known = len(self.draws) >= LEAST_DRAWS
        mixing = {"rhat": self.rhat, "ess": self.ess} if known else {}
        return mixing if self.acceptance is None else mixing | {"acceptance": self.acceptance}

    @checked
    def sample(self, k: int) -> Tensor:
        """Draw k of the stored draws with repetition, independently for each row, (k, B, D)."""
        require_positive(k=k)
        self.target.require_room(k, k=k)
        stored = self.draws.flatten(0, 1)
        rows = stored.shape[1]
        size, device = (k, rows), stored.device
        which = torch.randint(len(stored), size, generator=self.generator, device=device)
        return stored[which, torch.arange(rows, device=device)]

    @checked
    def sample_chains(self, k: int) -> Tensor:
        """Return k stored draws of each chain, evenly spaced, (C, k, B, D)."""
        require_positive(k=k)
        self.target.require_room(k, self.draws.shape[1], k=k)
        return self.draws[self._spread(k)].transpose(0, 1)

    def _spread(self, k: int) -> Tensor:
        """Return the places of k draws of each chain, evenly spaced, (k,)."""
        return torch.linspace(0, len(self.draws) - 1, k, device=self.draws.device).round().long()

    def _arviz_draws(self, k: int | None) -> ArvizDraws:
        """Return k draws of each chain with their stats; None for all."""
        k = len(self.draws) if k is None else k
        if k > len(self.draws):
            raise UsageError(
                "the chains have fewer draws",
                why=f"found {len(self.draws)} draws of each chain; draws = {k} are asked for",
                fix="give fewer draws, or None for all; or run longer chains",
            )
        which = self._spread(k)
        stats = {name: values[which].transpose(0, 1) for name, values in self.stats.items()}
        return ArvizDraws(self.draws[which].transpose(0, 1), "chains", stats)
