"""Moves between modes, which Hamiltonian trajectories cannot make.

Tierney, *Markov chains for exploring posterior distributions* (1994), section 2.3.3: independence
chains, which leave the posterior invariant whatever the proposal.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.infer.chains.hamiltonian import State
from elboroom.infer.chains.noise import Noise
from elboroom.infer.fitting.modes import find_modes
from elboroom.infer.fitting.prior_draws import PriorDraws
from elboroom.infer.fitting.starting_points import starting_points
from elboroom.infer.laplace import mixture_of_modes
from elboroom.infer.sir import widening_for_half_ess
from elboroom.infer.target import Target
from elboroom.model.posteriors import GaussianMixture

_MODES = 4


@dataclass(frozen=True)
class Jumps:
    """Independence Metropolis–Hastings with a Gaussian at each of a few modes of every row."""

    proposal: GaussianMixture

    @classmethod
    def of(cls, target: Target, encoded: Tensor, generator: torch.Generator) -> "Jumps":
        """Find modes near the likeliest of some thousand draws and guesses (S, B, D).

        The Gaussians are wider than their modes, so that no chain gets stuck in a tail.
        """
        draws = PriorDraws.scattered(target, generator)
        points = starting_points(target, encoded, draws, _MODES)
        modes = mixture_of_modes(find_modes(target, points, generator))
        return cls(modes.widened(widening_for_half_ess(modes)))

    def jump(self, target: Target, state: State, noise: Noise) -> State:
        """Propose a jump to each chain, and accept or reject it."""
        proposed = State.at(target, self.draw(state.z, noise))
        # log α = log p(x, z′) − log q(z′) − [ log p(x, z) − log q(z) ]
        weight, former = (s.log_joint - self.proposal.log_prob(s.z) for s in (proposed, state))
        return proposed.where(noise.uniform(state.log_joint).log() < weight - former, state)

    def draw(self, like: Tensor, noise: Noise) -> Tensor:
        """Draw a proposal for each chain, z (C, B, D), the shape of `like`."""
        uniforms, eps = noise.uniform(like[..., 0]), noise.normal(like)
        reached = self.proposal.log_mass.exp().cumsum(0)  # (M, B)
        which = (uniforms[:, None] >= reached).sum(1).clamp(max=len(reached) - 1)  # (C, B)
        # z = μ_m + A_m ε, of all components
        z = self.proposal.components.at(eps[:, None].expand(-1, len(reached), -1, -1))
        return z.gather(1, which[:, None, :, None].expand_as(z[:, :1]))[:, 0]
