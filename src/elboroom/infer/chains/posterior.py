"""Draws of Markov chains as a posterior."""

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from elboroom.infer.diagnostics import chain_ess, split_rhat
from elboroom.infer.target import Target


@dataclass(frozen=True)
class ChainPosterior:
    """Draws of Markov chains.

    Attributes:
        target: log p(x_seen, z).
        draws: (T, C, B, D), T of each of C chains.
        acceptance: (B,), the part of proposals that was accepted; None where all are.
        generator: feeds `sample`.
    """

    target: Target
    draws: Tensor
    acceptance: Tensor | None
    generator: torch.Generator = field(repr=False)

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
        """(B,), the largest split R̂ of a row's latents: 1 when its chains agree."""
        return split_rhat(self.draws).amax(-1)

    @cached_property
    def ess(self) -> Tensor:
        """(B,), the smallest effective number of draws of a row's latents."""
        return chain_ess(self.draws).amin(-1)

    @property
    def diagnostics(self) -> dict[str, Tensor]:
        """How well the chains mixed. R̂ and the ESS are computed once, when first asked for."""
        mixing = {"rhat": self.rhat, "ess": self.ess}
        return mixing if self.acceptance is None else mixing | {"acceptance": self.acceptance}

    def sample(self, k: int) -> Tensor:
        """k of the stored draws, with repetition, independently for each row, (k, B, D)."""
        stored = self.draws.flatten(0, 1)
        rows = stored.shape[1]
        size, device = (k, rows), stored.device
        which = torch.randint(len(stored), size, generator=self.generator, device=device)
        return stored[which, torch.arange(rows, device=device)]
