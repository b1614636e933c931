"""Moves between modes: a proposal that knows of several takes a chain where no trajectory would.

Tierney, *Markov chains for exploring posterior distributions* (1994), section 2.3.3: independence
chains, which keep the posterior invariant whatever the proposal.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.infer.hamiltonian import State
from elboroom.infer.importance import half_price
from elboroom.infer.laplace import mix
from elboroom.infer.modes import find_modes
from elboroom.infer.starts import starting_points
from elboroom.infer.target import Target
from elboroom.posteriors import GaussianMixture

_MODES = 4


@dataclass(frozen=True)
class Jumps:
    """Independence Metropolis–Hastings with a Gaussian at each of a few modes of every row."""

    proposal: GaussianMixture

    @classmethod
    def of(cls, target: Target, encoded: Tensor, generator: torch.Generator) -> "Jumps":
        """To the modes near the likeliest of a few thousand draws and the encoder's means (B, D).

        The Gaussians are wider than their modes, so that no tail holds a chain fast.
        """
        points = starting_points(target, encoded, _MODES, generator)
        return cls(mix(find_modes(target, points)).widened(half_price(target.latents)))

    def jump(self, target: Target, state: State, generator: torch.Generator) -> State:
        """Offer each chain another place. All rows see the same noise."""
        uniforms, eps = _noise(state.z, generator)
        proposed = State.at(target, self._draw(uniforms[0], eps))
        # log α = log p(x, z′) − log q(z′) − [ log p(x, z) − log q(z) ]
        weight, former = (s.log_joint - self.proposal.log_prob(s.z) for s in (proposed, state))
        return proposed.where(uniforms[1].log() < weight - former, state)

    def _draw(self, uniforms: Tensor, eps: Tensor) -> Tensor:
        """Z (C, B, D) from uniforms (C, 1) and standard normal ε (C, 1, D)."""
        reached = self.proposal.log_mass.exp().cumsum(0)  # (M, B)
        which = (uniforms[:, None] >= reached).sum(1).clamp(max=len(reached) - 1)  # (C, B)
        rows = torch.arange(reached.shape[1], device=which.device)
        components = self.proposal.components
        scale = components.scale[which, rows]
        # z = μ_m + A_m ε
        return components.mean[which, rows] + (scale @ eps[..., None])[..., 0]


def _noise(z: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Uniforms that choose and accept, (2, C, 1), and ε, (C, 1, D), the same in every row."""
    chains, _, latents = z.shape
    kind = {"generator": generator, "dtype": z.dtype, "device": z.device}
    return torch.rand((2, chains, 1), **kind), torch.randn((chains, 1, latents), **kind)
