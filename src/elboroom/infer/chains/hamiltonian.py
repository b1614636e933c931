"""Hamiltonian moves of all chains of all rows at once.

With A Aᵀ = Σ, an estimate of the posterior's covariance, the momentum p is standard normal and
moves z by A p. This is a mass matrix of Σ⁻¹ without computing an inverse. A step size of 1 is about
one standard deviation of the posterior in every direction.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.infer.chains.noise import Noise
from elboroom.infer.target import Target
from elboroom.model.posteriors import AffineGaussian

QUARTER_TURN = math.pi / 2
"""The time after which a trajectory is independent of its start, if the posterior is N(μ, Σ)."""

_MAX_STEPS = 64  # steps of a move
_DIVERGENT = 1_000.0  # nats


@dataclass(frozen=True)
class State:
    """The positions of chains: z (C, B, D), log p(x_seen, z) (C, B) in nats, its gradient."""

    z: Tensor
    log_joint: Tensor
    gradient: Tensor

    @classmethod
    def at(cls, target: Target, z: Tensor) -> "State":
        """Evaluate log p(x_seen, z) and its gradient at z, (C, B, D)."""
        return cls(z, *target.value_and_gradient(z))

    def where(self, chosen: Tensor, other: "State") -> "State":
        """Return this state where `chosen` (C, B) is True, the other elsewhere."""
        return State(
            torch.where(chosen[..., None], self.z, other.z),
            torch.where(chosen, self.log_joint, other.log_joint),
            torch.where(chosen[..., None], self.gradient, other.gradient),
        )


@dataclass(frozen=True)
class HamiltonianMove:
    """The result of a move.

    Attributes:
        state: the positions of the chains after it.
        acceptance: (C, B), the probability that the proposal is accepted.
        diverging: (C, B), True where the energy error exceeds 1,000 nats.
        steps: (B,), the number of leapfrog steps.
    """

    state: State
    acceptance: Tensor
    diverging: Tensor
    steps: Tensor


def move(
    target: Target, state: State, root: AffineGaussian, step_size: Tensor, noise: Noise
) -> HamiltonianMove:
    """Move every chain of every row along a trajectory; Neal, *MCMC using Hamiltonian dynamics*.

    A trajectory lasts a random time between three quarters and three halves of a quarter turn, so
    that no posterior resonates with all of them. The steps add up to that time exactly.

    Args:
        target: log p(x_seen, z).
        state: the positions of the chains.
        root: N(0, Σ) of each row, with A.
        step_size: ε, (B,), the longest step.
        noise: noise of momenta, times and acceptance; all rows share the times.
    """
    momentum, uniforms = noise.normal(state.z), noise.uniform(state.log_joint)
    time = QUARTER_TURN * (0.75 + 0.75 * noise.scalar(state.z))
    steps = (time / step_size).ceil().clamp(1, _MAX_STEPS)
    step_size = torch.minimum(time / steps, step_size)
    proposal, final_momentum = _leapfrog(target, state, momentum, root, step_size, steps)
    # log α = log p(x, z′) − ½ |p′|² − log p(x, z) + ½ |p|²
    log_ratio = proposal.log_joint - state.log_joint + _kinetic(momentum) - _kinetic(final_momentum)
    log_ratio = log_ratio.nan_to_num(-math.inf)
    accepted = proposal.where(uniforms.log() < log_ratio, state)
    acceptance = log_ratio.exp().clamp(max=1)
    return HamiltonianMove(accepted, acceptance, log_ratio < -_DIVERGENT, steps)


def _leapfrog(
    target: Target,
    state: State,
    momentum: Tensor,
    root: AffineGaussian,
    step_size: Tensor,
    steps: Tensor,
) -> tuple[State, Tensor]:
    """Take `steps` (B,) leapfrog steps; return the state and the momentum (C, B, D) at the end."""
    z, log_joint, gradient = state.z.clone(), state.log_joint.clone(), state.gradient.clone()
    momentum = momentum.clone()
    for step in range(int(steps.max())):
        rows = (step < steps).nonzero()[:, 0]
        eps, a = step_size[rows, None], root.rows(rows)
        # p ← p + ε/2 Aᵀ ∇ log p(x, z);  z ← z + ε A p;  p ← p + ε/2 Aᵀ ∇ log p(x, z)
        half = momentum[:, rows] + eps / 2 * a.pulled(gradient[:, rows])
        reached = State.at(target.rows(rows), z[:, rows] + eps * a.spread(half))
        momentum[:, rows] = half + eps / 2 * a.pulled(reached.gradient)
        z[:, rows], gradient[:, rows] = reached.z, reached.gradient
        log_joint[:, rows] = reached.log_joint
    return State(z, log_joint, gradient), momentum


def _kinetic(momentum: Tensor) -> Tensor:
    """Compute ½ |p|², (C, B)."""
    return 0.5 * momentum.square().sum(-1)
