"""Hamiltonian Monte Carlo: draws of p(z | x_seen) by many chains a row, all rows at once."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from elboroom.device import keep_freed_memory
from elboroom.errors import UsageError, require_positive
from elboroom.infer.chains.adaptation import Mass, Walk
from elboroom.infer.chains.hamiltonian import HamiltonianMove
from elboroom.infer.chains.mode_jumps import Jumps
from elboroom.infer.chains.posterior import ChainPosterior
from elboroom.infer.target import Target
from elboroom.model.vae import VAE

_POINTS = 4_096
_ROWS = 1_024  # scored at a time
_MIXED_RHAT, _ESS_A_CHAIN = 1.01, 100  # Vehtari et al. (2021), section 4

OnStep = Callable[[int, int], None]


class Start(Protocol):
    """Anything that draws z of every row, such as the posterior of another method."""

    def sample(self, k: int) -> Tensor:
        """k draws, (k, B, D)."""
        ...


@dataclass(frozen=True)
class HMCPosterior(ChainPosterior):
    """Draws of each row's posterior, exact in the limit of long chains.

    Attributes:
        divergences: (B,), the moves whose energy error passed 1,000 nats.
        step_size: (B,), ε, in standard deviations of the posterior.
    """

    divergences: Tensor
    step_size: Tensor

    @property
    def converged(self) -> Tensor:
        """R̂ < 1.01 and an effective 100 draws a chain, as Vehtari et al. (2021) advise: (B,).

        A row that fails has not mixed in the draws it was given, often between distant modes.
        """
        enough = _ESS_A_CHAIN * self.draws.shape[1]
        return (self.rhat < _MIXED_RHAT) & (self.ess >= enough)

    @property
    def diagnostics(self) -> dict[str, Tensor]:
        """How well the chains mixed, and how they moved."""
        moves = {"divergences": self.divergences, "step_size": self.step_size}
        return super().diagnostics | moves


@torch.no_grad()
def hmc(
    model: VAE,
    x: Tensor,
    mask: Tensor | None = None,
    *,
    generator: torch.Generator,
    chains: int = 4,
    warmup: int = 300,
    draws: int = 1_000,
    mass: Mass = "dense",
    start: Start | None = None,
    jumps: bool = True,
    on_step: OnStep = lambda step, total: None,
) -> HMCPosterior:
    """Draw from p(z | x_seen) of every row at once, by Hamiltonian Monte Carlo.

    Each row has a step size (Hoffman & Gelman, 2014) and a mass matrix of its own. The latter is
    the Gauss–Newton curvature until warm-up has draws enough to estimate it from.

    Args:
        model: its decoder stays as it is.
        x: (B, *event).
        mask: True where a pixel is seen, like `x` or broadcast to it; None for all.
        generator: feeds the walk, where all rows see the same noise, and the draws of the result.
        chains: C, walks of a row.
        warmup: moves of each chain that adapt and are thrown away.
        draws: T, moves of each chain that are kept; R̂ takes at least four.
        mass: whether the mass matrix knows of correlations; it takes D² numbers a row.
        start: draws where the chains begin. Without it they begin at some of a few thousand points,
            resampled so that modes get chains in proportion to their mass.
        jumps: whether each move after warm-up is followed by an offer to jump to another of a few
            modes (`elboroom.infer.chains.mode_jumps`). Without, a mode that no chain begins in
            stays unseen, and R̂ cannot tell.
        on_step: called after each move with its number and the total.

    Raises:
        UsageError: the mask does not fit, a seen value is not finite, a count is not positive, or
            `start` is of other rows.
    """
    require_positive(chains=chains, draws=draws)
    target = Target.of(model, x, mask)
    keep_freed_memory()
    z = _likely_points(target, chains, generator) if start is None else start.sample(chains)
    _require_shape(z, (chains, len(target), target.latents))
    walk = Walk.of(target, z, mass, generator, lambda step: on_step(step, warmup + draws))
    walk.warm_up(warmup)
    offers = Jumps.of(target, model.posterior(x, mask).mean, generator) if jumps else None
    moves = (_move(walk, offers) for _ in range(draws))
    kept = [(walk.state.z, move.acceptance, move.divergences) for move in moves]
    visited, acceptance, divergences = (torch.stack(part) for part in zip(*kept, strict=True))
    return HMCPosterior(
        target,
        visited,
        acceptance.mean(0),
        generator,
        divergences.sum(0),
        walk.step_size.average,
    )


def _move(walk: Walk, offers: Jumps | None) -> HamiltonianMove:
    move = walk.move(walk.step_size.average)
    if offers is not None:
        walk.state = offers.jump(walk.target, walk.state, walk.generator)
    return move


def _likely_points(target: Target, chains: int, generator: torch.Generator) -> Tensor:
    """A few thousand points resampled by p(z | x_seen), C for each row, (C, B, D).

    Half of the points are prior draws; half lie twice as far from its mean, where modes may be
    whose mass no prior draw would meet. All rows see the same points, and the same noise.
    """
    prior = target.model.prior(1)
    z = prior.sample(_POINTS, generator)
    z[::2] = 2 * z[::2] - prior.mean
    # 2 q(z) = p(z) + p((z + μ)/2) / 2^D
    far = prior.log_prob((z + prior.mean) / 2) - target.latents * math.log(2)
    log_q = torch.logaddexp(prior.log_prob(z), far)
    u = torch.rand((), generator=generator, dtype=z.dtype, device=z.device)
    chosen = [
        _systematic((target.rows(rows).log_joint_table(z[:, 0]) - log_q).softmax(0), chains, u)
        for rows in torch.arange(len(target), device=z.device).split(_ROWS)
    ]
    return z[torch.cat(chosen, 1), 0]


def _systematic(weights: Tensor, count: int, u: Tensor) -> Tensor:
    """Indices (count, B) of a systematic sample by weights (G, B), which sum to one; u in [0, 1).

    Each index comes up as often as its weight says, to within one.
    """
    ticks = (torch.arange(count, device=u.device) + u) / count
    reached = weights.cumsum(0).T.contiguous()
    index = torch.searchsorted(reached, ticks.expand(len(reached), -1).contiguous(), right=True)
    return index.T.clamp(max=len(weights) - 1)


def _require_shape(z: Tensor, shape: tuple[int, ...]) -> None:
    if z.shape != shape:
        raise UsageError(
            "these starts are not of this problem",
            why=f"their shape is {tuple(z.shape)}, expected {shape}",
            fix="start from a posterior of the same rows and model",
        )
