"""Annealing: chains that follow a path of densities, forwards from q₀ or back from p(z | x)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.config import AnnealingSchedule
from elboroom.infer.chains.annealing_path import Path, PathPoint
from elboroom.infer.chains.noise import Noise

_STEPS = 2  # of a trajectory
_LONGEST = math.pi / 2 / _STEPS  # after a quarter turn N(0, I) has forgotten where it began
_JITTER = 0.2
TUNING = 256
"""Moves of the chains that tune the step sizes, whatever the number of distributions."""

_CHAINS = 4  # that tune
_ACCEPTANCE = 0.8
_GAIN = 0.3  # of log ε, for an acceptance that is wrong by one
_SHARPNESS = 4.0


def inverse_temperatures(distributions: int, schedule: AnnealingSchedule, like: Tensor) -> Tensor:
    """β from 0 to 1 in as many steps as there are distributions after q₀, (n + 1,).

    "sigmoid" steps most finely at both ends (Grosse, Ghahramani & Adams, 2015, section 6).
    """
    even = torch.linspace(0, 1, distributions + 1, dtype=torch.float64, device=like.device)
    if schedule == "linear":
        return even.to(like.dtype)
    # β_t = (σ(δ (2t/n − 1)) − σ(−δ)) / (σ(δ) − σ(−δ))
    curve = torch.sigmoid(_SHARPNESS * (2 * even - 1))
    return ((curve - curve[0]) / (curve[-1] - curve[0])).to(like.dtype)


@dataclass(frozen=True)
class AnnealingMove:
    """Where a move led, and the probability (B,) with which chains were let go there."""

    particles: PathPoint
    acceptance: Tensor


def move(
    path: Path, here: PathPoint, beta: Tensor, step_size: Tensor, noise: Noise
) -> AnnealingMove:
    """Move every chain of every row along a trajectory that leaves f_β as it is.

    Args:
        path: of densities.
        here: the chains.
        beta: β, ().
        step_size: ε, (B,).
        noise: for momenta, the steps' jitter, and acceptance.
    """
    momentum, uniforms = noise.normal(here.u), noise.uniform(here.log_ratio)
    step_size = step_size * (1 + _JITTER * (2 * noise.scalar(step_size) - 1))
    there, reached = trajectory(path, here, momentum, beta, step_size)
    # log α = β (log r(u′) − log r(u)) + ½ (|u|² − |u′|² + |p|² − |p′|²)
    gained = _energy(here.u, momentum) - _energy(there.u, reached)
    log_alpha = (beta * (there.log_ratio - here.log_ratio) + gained).nan_to_num(-math.inf)
    accepted = there.where(uniforms.log() < log_alpha, here)
    return AnnealingMove(accepted, log_alpha.exp().clamp(max=1).mean(0))


def trajectory(
    path: Path, here: PathPoint, momentum: Tensor, beta: Tensor, step_size: Tensor
) -> tuple[PathPoint, Tensor]:
    """Where a few steps of size ε (B,) lead, and the momentum there, (C, B, D).

    The N(u; 0, I) of f_β is followed exactly, by a rotation, and only r(u)^β by kicks: where q₀
    fits, steps can be long (Shahbaba et al., *Split Hamiltonian Monte Carlo*, 2014).
    """
    eps = step_size[:, None]
    cos, sin = eps.cos(), eps.sin()
    for _ in range(_STEPS):
        # p ← p + ε/2 β ∇ log r(u);  (u, p) ← (u cos ε + p sin ε, p cos ε − u sin ε);  and again
        momentum = momentum + eps / 2 * beta * here.gradient
        u, momentum = here.u * cos + momentum * sin, momentum * cos - here.u * sin
        here = path.at(u)
        momentum = momentum + eps / 2 * beta * here.gradient
    return here, momentum


def _suitable_steps(path: Path, betas: Tensor, noise: Noise, on_move: Callable[[], None]) -> Tensor:
    """ε of the wanted acceptance at each β after the first, (n, B).

    Acceptance is read to two decimals, else the search would magnify the rounding by which a row
    differs from batch to batch.
    """
    here = path.at(noise.normal(path.mean.expand(_CHAINS, -1, -1)))
    log_step = torch.full_like(path.mean[:, 0], math.log(_LONGEST))
    log_steps = []
    for beta in betas[1:]:
        made = move(path, here, beta, log_step.exp(), noise)
        here = made.particles
        missing = _ACCEPTANCE - made.acceptance.round(decimals=2)
        log_step = (log_step - _GAIN * missing).clamp(max=math.log(_LONGEST))
        log_steps.append(log_step)
        on_move()
    return torch.stack(log_steps).exp()


def _energy(u: Tensor, momentum: Tensor) -> Tensor:
    """½ |u|² + ½ |p|², (C, B)."""
    return 0.5 * (u.square() + momentum.square()).sum(-1)


@dataclass(frozen=True)
class Annealing:
    """Annealed importance sampling with kernels that are known beforehand.

    Attributes:
        path: of densities.
        betas: β_0 = 0 … β_n = 1, (n + 1,).
        step_sizes: ε of the move at each of β_1 … β_n, (n, B).
    """

    path: Path
    betas: Tensor
    step_sizes: Tensor

    @classmethod
    def tuned(
        cls,
        path: Path,
        distributions: int,
        schedule: AnnealingSchedule,
        noise: Noise,
        on_move: Callable[[], None] = lambda: None,
    ) -> "Annealing":
        """With steps that suit each row at each β, learned by chains that are then forgotten."""
        tried = _suitable_steps(
            path, inverse_temperatures(TUNING, schedule, path.mean), noise, on_move
        )
        place = torch.arange(1, distributions + 1, device=path.mean.device) / distributions
        nearest = (place * TUNING).ceil().long() - 1
        return cls(path, inverse_temperatures(distributions, schedule, path.mean), tried[nearest])

    def forwards(
        self, chains: int, noise: Noise, on_move: Callable[[], None] = lambda: None
    ) -> tuple[PathPoint, Tensor, Tensor]:
        """Chains from q₀ to the posterior, their log w (C, B), and acceptance (B,).

        E[w] = p(x_seen); Neal, *Annealed importance sampling* (2001), equation 11.
        """
        here = self.path.at(noise.normal(self.path.mean.expand(chains, -1, -1)))
        log_weights, acceptance = torch.zeros_like(here.log_ratio), []
        for beta, rise, step_size in zip(*self._moves, strict=True):
            # log w ← log w + (β_t − β_{t−1}) log r(u)
            log_weights = log_weights + rise * here.log_ratio
            made = move(self.path, here, beta, step_size, noise)
            here = made.particles
            acceptance.append(made.acceptance)
            on_move()
        return here, log_weights, torch.stack(acceptance).mean(0)

    def backwards(
        self, z: Tensor, noise: Noise, on_move: Callable[[], None] = lambda: None
    ) -> Tensor:
        """log w (C, B) of chains from posterior draws z (C, B, D) back to q₀: E[1/w] = 1/p(x_seen).

        It is `forwards` with time reversed: the same moves, the last of them first.
        """
        here = self.path.at(self.path.u(z))
        log_weights = torch.zeros_like(here.log_ratio)
        for beta, rise, step_size in zip(*(part.flip(0) for part in self._moves), strict=True):
            here = move(self.path, here, beta, step_size, noise).particles
            log_weights = log_weights + rise * here.log_ratio
            on_move()
        return log_weights

    @property
    def _moves(self) -> tuple[Tensor, Tensor, Tensor]:
        """β, by how much it rose, and ε, of every move."""
        return self.betas[1:], self.betas.diff(), self.step_sizes
