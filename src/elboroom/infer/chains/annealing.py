"""Annealing: chains along a path of densities, forwards from q₀ or backwards from p(z | x)."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.config import AnnealingSchedule
from elboroom.infer.chains.annealing_path import Path, PathPoint
from elboroom.infer.chains.noise import Noise

_STEPS = 2  # steps of a trajectory
# After a quarter turn a trajectory of N(0, I) is independent of its start.
_LONGEST = math.pi / 2 / _STEPS
_JITTER = 0.2
TUNING = 256
"""Moves of the chains that tune the step sizes, whatever the number of distributions."""

_CHAINS = 4  # chains that tune the step sizes
_ACCEPTANCE = 0.8
_GAIN = 0.3  # change of log ε for an acceptance error of one
_SHARPNESS = 4.0


def inverse_temperatures(distributions: int, schedule: AnnealingSchedule, like: Tensor) -> Tensor:
    """Return β from 0 to 1, with one step for each distribution after q₀, (n + 1,).

    "sigmoid" has its smallest steps at both ends (Grosse, Ghahramani & Adams, 2015, section 6).
    """
    even = torch.linspace(0, 1, distributions + 1, dtype=torch.float64, device=like.device)
    if schedule == "linear":
        return even.to(like.dtype)
    # β_t = (σ(δ (2t/n − 1)) − σ(−δ)) / (σ(δ) − σ(−δ))
    curve = torch.sigmoid(_SHARPNESS * (2 * even - 1))
    return ((curve - curve[0]) / (curve[-1] - curve[0])).to(like.dtype)


def move(
    path: Path, here: PathPoint, beta: Tensor, step_size: Tensor, noise: Noise
) -> tuple[PathPoint, Tensor]:
    """Move every chain of every row along a trajectory that leaves f_β invariant.

    Return the positions and the mean acceptance probability over chains, (B,).

    Args:
        path: the path of densities.
        here: the positions of the chains.
        beta: β, ().
        step_size: ε, (B,).
        noise: noise of the momenta, the jitter of the steps, and acceptance.
    """
    momentum, uniforms = noise.normal(here.u), noise.uniform(here.log_ratio)
    step_size = step_size * (1 + _JITTER * (2 * noise.scalar(step_size) - 1))
    there, reached = trajectory(path, here, momentum, beta, step_size)
    # log α = β (log r(u′) − log r(u)) + ½ (|u|² − |u′|² + |p|² − |p′|²)
    energy_lost = _energy(here.u, momentum) - _energy(there.u, reached)
    log_alpha = (beta * (there.log_ratio - here.log_ratio) + energy_lost).nan_to_num(-math.inf)
    accepted = there.where(uniforms.log() < log_alpha, here)
    return accepted, log_alpha.exp().clamp(max=1).mean(0)


def trajectory(
    path: Path, here: PathPoint, momentum: Tensor, beta: Tensor, step_size: Tensor
) -> tuple[PathPoint, Tensor]:
    """Take a few steps of size ε (B,); return the positions and the momenta (C, B, D) at the end.

    The factor N(u; 0, I) of f_β is followed exactly, by a rotation. Only r(u)^β changes the
    momentum, so steps can be long where q₀ fits (Shahbaba et al., *Split Hamiltonian Monte Carlo*,
    2014).
    """
    eps = step_size[:, None]
    cos, sin = eps.cos(), eps.sin()
    for _ in range(_STEPS):
        # p ← p + ε/2 β ∇ log r(u);  (u, p) ← (u cos ε + p sin ε, p cos ε − u sin ε);
        # p ← p + ε/2 β ∇ log r(u)
        momentum = momentum + eps / 2 * beta * here.gradient
        u, momentum = here.u * cos + momentum * sin, momentum * cos - here.u * sin
        here = path.at(u)
        momentum = momentum + eps / 2 * beta * here.gradient
    return here, momentum


def _suitable_steps(path: Path, betas: Tensor, noise: Noise, on_move: Callable[[], None]) -> Tensor:
    """Find the ε of the target acceptance at each β after the first, (n, B).

    Acceptance is rounded to two decimals. The search amplifies tiny differences, so a row's step
    sizes would otherwise depend on the batch that it is in.
    """
    here = path.at(noise.normal(path.mean.expand(_CHAINS, -1, -1)))
    log_step = torch.full_like(path.mean[:, 0], math.log(_LONGEST))
    log_steps = []
    for beta in betas[1:]:
        here, rate = move(path, here, beta, log_step.exp(), noise)
        missing = _ACCEPTANCE - rate.round(decimals=2)
        log_step = (log_step - _GAIN * missing).clamp(max=math.log(_LONGEST))
        log_steps.append(log_step)
        on_move()
    return torch.stack(log_steps).exp()


def _energy(u: Tensor, momentum: Tensor) -> Tensor:
    """Compute ½ |u|² + ½ |p|², (C, B)."""
    return 0.5 * (u.square() + momentum.square()).sum(-1)


def gradients(distributions: int, chains: int, batches: int = 1) -> Counter[int]:
    """Count how often annealing computes the gradient of all rows, by the number of chains."""
    moves = Counter({_CHAINS: TUNING}) + Counter({chains: distributions})
    return Counter({count: batches * _STEPS * n for count, n in moves.items()})


@dataclass(frozen=True)
class Annealing:
    """Annealed importance sampling with fixed transition kernels.

    Attributes:
        path: the path of densities.
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
        """Learn step sizes for each row and each β, by chains that are then discarded."""
        tried = _suitable_steps(
            path, inverse_temperatures(TUNING, schedule, path.mean), noise, on_move
        )
        place = torch.arange(1, distributions + 1, device=path.mean.device) / distributions
        nearest = (place * TUNING).ceil().long() - 1
        return cls(path, inverse_temperatures(distributions, schedule, path.mean), tried[nearest])

    def forwards(
        self, chains: int, noise: Noise, on_move: Callable[[], None] = lambda: None
    ) -> tuple[PathPoint, Tensor, Tensor]:
        """Run chains from q₀ to the posterior; return them, log w (C, B), and acceptance (B,).

        E[w] = p(x_seen); Neal, *Annealed importance sampling* (2001), equation 11.
        """
        here = self.path.at(noise.normal(self.path.mean.expand(chains, -1, -1)))
        log_weights, acceptance = torch.zeros_like(here.log_ratio), []
        for beta, increase, step_size in zip(*self._moves, strict=True):
            # log w ← log w + (β_t − β_{t−1}) log r(u)
            log_weights = log_weights + increase * here.log_ratio
            here, rate = move(self.path, here, beta, step_size, noise)
            acceptance.append(rate)
            on_move()
        return here, log_weights, torch.stack(acceptance).mean(0)

    def backwards(self, z: Tensor, noise: Noise) -> Tensor:
        """Run chains from posterior draws z (C, B, D) back to q₀; return log w (C, B).

        This is `forwards` with time reversed: the same moves, the last one first.
        E[1/w] = 1/p(x_seen).
        """
        here = self.path.at(self.path.u(z))
        log_weights = torch.zeros_like(here.log_ratio)
        for beta, increase, step_size in zip(*(part.flip(0) for part in self._moves), strict=True):
            here, _ = move(self.path, here, beta, step_size, noise)
            log_weights = log_weights + increase * here.log_ratio
        return log_weights

    @property
    def _moves(self) -> tuple[Tensor, Tensor, Tensor]:
        """The β of every move, the increase of β before it, and its ε."""
        return self.betas[1:], self.betas.diff(), self.step_sizes
