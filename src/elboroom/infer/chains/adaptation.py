"""Adaptation of chains during warm-up: the step size and the inverse mass matrix of each row."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from elboroom.infer.chains.hamiltonian import QUARTER_TURN, HamiltonianMove, State, move
from elboroom.infer.chains.noise import Noise
from elboroom.infer.target import Target

Mass = Literal["diagonal", "dense"]

_ACCEPTANCE = 0.8
_GAMMA, _T0, _KAPPA = 0.05, 10, 0.75  # Hoffman & Gelman (2014), section 3.2.1
_OPTIMISM = math.log(10)
# Shares of warm-up: to reach the posterior, and to estimate Σ. The rest tunes the step size.
_SETTLING, _WINDOWS = 1 / 8, (1 / 8, 1 / 4, 3 / 8)


@dataclass(frozen=True)
class StepSize:
    """Dual averaging of the step size ε of each row (Hoffman & Gelman, 2014, section 3.2).

    Attributes:
        log_step: (B,), log ε, to use in the next iteration.
        log_average: (B,), log ε̄, to use after adaptation.
        shortfall: (B,), H̄, the average of the target acceptance minus the acceptance.
        centre: (B,), log of ten times the initial ε, towards which log ε is drawn: μ.
        count: m, the number of iterations.
    """

    log_step: Tensor
    log_average: Tensor
    shortfall: Tensor
    centre: Tensor
    count: int = 0

    @classmethod
    def of(cls, first: Tensor) -> "StepSize":
        """Start the search at `first`, (B,)."""
        log_step = first.log()
        return cls(log_step, log_step, torch.zeros_like(first), log_step + _OPTIMISM)

    @property
    def current(self) -> Tensor:
        """ε, (B,)."""
        return self.log_step.exp()

    @property
    def average(self) -> Tensor:
        """ε̄, (B,)."""
        return self.log_average.exp()

    def updated(self, acceptance: Tensor) -> "StepSize":
        """Return the search after an iteration at ε with this acceptance probability, (B,).

        Acceptance is rounded to two decimals. Dual averaging amplifies tiny differences, so a row's
        draws would otherwise depend on the batch that it is in.
        """
        m = self.count + 1
        # H̄ ← (1 − 1/(m + t₀)) H̄ + (δ − α)/(m + t₀)
        missing = _ACCEPTANCE - acceptance.round(decimals=2)
        shortfall = self.shortfall.lerp(missing, 1 / (m + _T0))
        # log ε ← μ − √m/γ H̄
        log_step = self.centre - math.sqrt(m) / _GAMMA * shortfall
        log_step = log_step.clamp(max=math.log(QUARTER_TURN))
        # log ε̄ ← m^−κ log ε + (1 − m^−κ) log ε̄
        log_average = self.log_average.lerp(log_step, m**-_KAPPA)
        return StepSize(log_step, log_average, shortfall, self.centre, m)


def covariance_of_curvature(target: Target, z: Tensor) -> Tensor:
    """Invert the Gauss–Newton precision, averaged over chains: (C, B, D) → (B, D, D)."""
    precision = torch.stack([target.curvature(chain)[1] for chain in z]).mean(0)
    return torch.linalg.inv(precision)


def covariance_of_draws(draws: Tensor, former: Tensor) -> Tensor:
    """Estimate the covariance within chains, (T, C, B, D) → (B, D, D), shrunk towards `former`.

    Each chain is centred on its own mean: if chains stay in different modes, the distance between
    these does not matter for steps within one. The former estimate, (B, D, D), has the weight of
    D + 1 draws.
    """
    count, weight = draws[..., 0, 0].numel(), draws.shape[-1] + 1
    centred = draws - draws.mean(0)
    scatter = torch.einsum("tcbi,tcbj->bij", centred, centred)
    # Σ = (n S + w Σ′)/(n + w)
    return (scatter + weight * former) / (count + weight)


def root(covariance: Tensor, mass: Mass) -> Tensor:
    """Compute A with A Aᵀ = Σ, or A Aᵀ = diag Σ if the mass is diagonal: (B, D, D) → (B, D, D)."""
    if mass == "diagonal":
        return torch.diag_embed(covariance.diagonal(dim1=-2, dim2=-1).sqrt())
    return torch.linalg.cholesky(covariance)


@dataclass
class Walk:
    """Chains in progress, with the step size and the mass matrix learned for each row.

    Attributes:
        target: log p(x_seen, z).
        state: the positions of the chains.
        covariance: Σ, (B, D, D), whose inverse is the mass matrix.
        root: A, (B, D, D), the root of Σ or of its diagonal, by `mass`.
        step_size: ε.
        mass: "dense" uses Σ, "diagonal" only its diagonal.
        noise: noise of the moves.
        on_move: called after each move with its number.
        count: the number of moves so far.
    """

    target: Target
    state: State
    covariance: Tensor
    root: Tensor
    step_size: StepSize
    mass: Mass
    noise: Noise
    on_move: Callable[[int], None]
    count: int = 0

    @classmethod
    def of(
        cls,
        target: Target,
        z: Tensor,
        mass: Mass,
        noise: Noise,
        on_move: Callable[[int], None],
    ) -> "Walk":
        """Start chains at z, (C, B, D)."""
        state, covariance = State.at(target, z), covariance_of_curvature(target, z)
        # ε ∝ D^−¼ keeps the acceptance rate constant in the dimension (Neal, 2011).
        step_size = StepSize.of(torch.full_like(z[0, :, 0], target.latents**-0.25))
        scale = root(covariance, mass)
        return cls(target, state, covariance, scale, step_size, mass, noise, on_move)

    def warm_up(self, moves: int) -> None:
        """Reach the posterior, estimate Σ in growing windows, and tune ε to it."""
        self.tune(int(_SETTLING * moves))
        self.covariance = covariance_of_curvature(self.target, self.state.z)
        for share in _WINDOWS:
            visited = self.tune(int(share * moves))
            self.covariance = covariance_of_draws(visited, self.covariance)
        self.tune(moves - self.count)

    def tune(self, moves: int) -> Tensor:
        """Adapt ε to the current Σ and return the positions visited, (moves, C, B, D)."""
        self.root = root(self.covariance, self.mass)
        self.step_size = StepSize.of(self.step_size.average)
        visited = self.state.z.new_empty(moves, *self.state.z.shape)
        for here in visited:
            made = self.move(self.step_size.current)
            self.step_size = self.step_size.updated(made.acceptance)
            here.copy_(made.state.z)
        return visited

    def move(self, step_size: Tensor) -> HamiltonianMove:
        """Move every chain once, with this step size (B,)."""
        made = move(self.target, self.state, self.root, step_size, self.noise)
        self.state, self.count = made.state, self.count + 1
        self.on_move(self.count)
        return made
