"""Adaptation of chains during warm-up: the step size and the metric of each row."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.infer.chains.hamiltonian import QUARTER_TURN, HamiltonianMove, State, move
from elboroom.infer.chains.metric import Mass, Metric, metric_of
from elboroom.infer.chains.noise import Noise
from elboroom.infer.target import Target
from elboroom.model.posteriors import AffineGaussian

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


@dataclass
class Walk:
    """Chains in progress, with the step size and the metric learned for each row.

    Attributes:
        target: log p(x_seen, z).
        state: the positions of the chains.
        metric: the estimate of Σ, whose inverse is the mass matrix.
        root: N(0, Σ) of the metric that moves use.
        step_size: ε.
        noise: noise of the moves.
        on_move: called after each move with its number.
        count: the number of moves so far.
    """

    target: Target
    state: State
    metric: Metric
    root: AffineGaussian
    step_size: StepSize
    noise: Noise
    on_move: Callable[[int], None]
    count: int = 0

    @classmethod
    def of(
        cls,
        target: Target,
        z: Tensor,
        mass: Mass | None,
        noise: Noise,
        on_move: Callable[[int], None],
    ) -> "Walk":
        """Start chains at z, (C, B, D)."""
        kind, state = metric_of(mass, target), State.at(target, z)
        metric = kind.at(target, z, noise.generator)
        # ε ∝ D^−¼ keeps the acceptance rate constant in the dimension (Neal, 2011).
        step_size = StepSize.of(torch.full_like(z[0, :, 0], target.latents**-0.25))
        return cls(target, state, metric, metric.root, step_size, noise, on_move)

    def warm_up(self, moves: int) -> None:
        """Reach the posterior, estimate Σ in growing windows, and tune ε to it."""
        self.tune(int(_SETTLING * moves))
        self.metric = self.metric.at(self.target, self.state.z, self.noise.generator)
        for share in _WINDOWS:
            visited = self.tune(int(share * moves))
            self.metric = self.metric.learned(visited)
        self.tune(moves - self.count)

    def tune(self, moves: int) -> Tensor:
        """Adapt ε to the current Σ and return the positions visited, (moves, C, B, D)."""
        self.root = self.metric.root
        self.step_size = StepSize.of(self.step_size.average)
        visited = self.state.z.new_empty(moves, *self.state.z.shape)
        for here in visited:
            made = self.move(self.step_size.current)
            self.step_size = self.step_size.updated(made.acceptance.mean(0))
            here.copy_(made.state.z)
        return visited

    def move(self, step_size: Tensor) -> HamiltonianMove:
        """Move every chain once, with this step size (B,)."""
        made = move(self.target, self.state, self.root, step_size, self.noise)
        self.state, self.count = made.state, self.count + 1
        self.on_move(self.count)
        return made
