"""Hamiltonian Monte Carlo: draws of p(z | x_seen) by several chains per row, all rows at once."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.device import keep_freed_memory
from elboroom.errors import UsageError, require_not_negative, require_positive
from elboroom.infer.chains.adaptation import Walk
from elboroom.infer.chains.hamiltonian import HamiltonianMove
from elboroom.infer.chains.metric import Mass, metric_of
from elboroom.infer.chains.mode_jumps import Jumps
from elboroom.infer.chains.noise import Noise
from elboroom.infer.chains.posterior import CHAINS, ChainPosterior
from elboroom.infer.diagnostics import MIXED_RHAT
from elboroom.infer.fitting.prior_draws import scattered_prior_draws
from elboroom.infer.fitting.starting_points import guesses
from elboroom.infer.observed import Array
from elboroom.infer.posterior import Posterior
from elboroom.infer.sir import sir
from elboroom.infer.target import Target
from elboroom.infer.told_steps import OnStep, told_steps
from elboroom.model.arguments import checked
from elboroom.model.vae import VAE

_ROWS = 1_024  # scored at a time
_ESS_A_CHAIN = 100  # Vehtari et al. (2021), section 4


@dataclass(frozen=True, repr=False)
class HMCPosterior(ChainPosterior):
    """Draws of each row's posterior, exact in the limit of long chains.

    Attributes:
        divergences: (B,), how many moves had an energy error above 1,000 nats.
        step_size: (B,), ε, in standard deviations of the posterior.

    Example:
        >>> chains = infer.hmc(model, x, mask, generator=generator, warmup=50, draws=100)
        >>> chains.draws.shape, list(chains.diagnostics)
        (torch.Size([100, 4, 3, 2]), ['rhat', 'ess', 'acceptance', 'divergences', 'step_size'])
        >>> torch.allclose(chains.mean, chains.draws.mean((0, 1)))
        True
    """

    divergences: Tensor
    step_size: Tensor

    @property
    def converged(self) -> Tensor:
        """True where R̂ < 1.01 and the effective sample size is at least 100 per chain, (B,).

        These are the limits of Vehtari et al. (2021). A row that misses them has not mixed within
        its draws, often between distant modes.
        """
        enough = _ESS_A_CHAIN * self.draws.shape[1]
        return (self.rhat < MIXED_RHAT) & (self.ess >= enough)

    @property
    def diagnostics(self) -> dict[str, Tensor]:
        """The mixing of the chains, their divergences and their step sizes."""
        moves = {"divergences": self.divergences, "step_size": self.step_size}
        return super().diagnostics | moves


@checked
@torch.no_grad()
def hmc(
    model: VAE,
    x: Array,
    mask: Array | None = None,
    *,
    generator: torch.Generator,
    chains: int = CHAINS,
    warmup: int = 300,
    draws: int = 1_000,
    mass: Mass | None = None,
    start: Posterior | None = None,
    jumps: bool = True,
    independent_rows: bool = False,
    on_step: OnStep = lambda step, total: None,
    progress: bool = False,
) -> HMCPosterior:
    """Draw from p(z | x_seen) of every row at once, by Hamiltonian Monte Carlo.

    Each row has its own step size (Hoffman & Gelman, 2014) and its own mass matrix. The mass matrix
    is the Gauss–Newton curvature until warm-up has enough draws to estimate it.

    Args:
        model: the model, whose decoder stays unchanged.
        x: (B, *event), numbers of any type.
        mask: True where a pixel is seen, like `x` or broadcast to it; None for all.
        generator: random generator of the chains and of the result's draws.
        chains: C, the number of chains of each row.
        warmup: moves of each chain that adapt it and are discarded.
        draws: T, the number of moves of each chain that are kept. R̂ and the effective sample size
            need at least four, and some hundreds to be reliable.
        mass: "dense" learns correlations and stores D² numbers per row; "diagonal" does not.
            "low-rank" learns them in the directions that the seen pixels inform, and keeps the
            prior N(0, I) in all others. None takes dense up to 300 latents, and low-rank beyond.
        start: posterior whose draws are the starting points; only its `sample` is used. By default
            chains start at a few of some thousand points, resampled so that modes get chains in
            proportion to their mass: draws of the model's partial encoder, or without one of the
            prior. Beyond 300 latents no draw of the prior comes near, and without a partial encoder
            they start at draws of Gaussians at a few modes.
        jumps: whether each move after warm-up is followed by a proposal to jump to another of a few
            modes (`elboroom.infer.chains.mode_jumps`). Without jumps a mode in which no chain
            starts is never found, and R̂ does not reveal it.
        independent_rows: True to give each row its own noise, so that the errors of rows are
            independent, as `elboroom.evaluation.sbc_ranks` needs. By default rows share the noise,
            so that none depends on the others in its batch.
        on_step: called after each move with its number and the total.
        progress: show the progress, in a notebook or a terminal.

    Raises:
        UsageError: if data or mask do not fit the model, a count is not positive, `start` belongs
            to other rows, or the mass does not suit the number of latents or the prior.

    Example:
        >>> chains = infer.hmc(model, x, mask, generator=generator, warmup=50, draws=100)
        >>> chains.draws.shape  # draws, chains, rows, latents
        torch.Size([100, 4, 3, 2])
        >>> chains.diagnostics["rhat"] < 1.1  # the chains agree
        tensor([True, True, True])
    """
    require_positive(chains=chains, draws=draws)
    require_not_negative(warmup=warmup)
    target, noise = Target.of(model, x, mask), Noise(generator, shared=not independent_rows)
    target.require_room(draws, chains, draws=draws, chains=chains)
    keep_freed_memory()
    metric_of(mass, target)
    if start is None and model.partial_encoder is not None:
        start = sir(model, x, mask, generator=generator)
    modes = _jumps(model, target, generator) if target.is_large and start is None else None
    z = _first(target, chains, noise, modes) if start is None else start.sample(chains)
    _require_shape(z, (chains, len(target), target.latents))
    with told_steps(on_step, progress, "HMC") as tell:
        walk = Walk.of(target, z, mass, noise, lambda step: tell(step, warmup + draws))
        walk.warm_up(warmup)
        modes = (modes or _jumps(model, target, generator)) if jumps else None
        moves = (_move(walk, modes) for _ in range(draws))
        kept = [(walk.state.z, move.acceptance, move.diverging, move.steps) for move in moves]
    visited, acceptance, diverging, steps = (torch.stack(part) for part in zip(*kept, strict=True))
    step_size = walk.step_size.average
    stats = {
        "acceptance_rate": acceptance,
        "diverging": diverging,
        "n_steps": steps.long()[:, None].expand_as(acceptance),
        "step_size": step_size.expand_as(acceptance),
    }
    accepted, divergences = acceptance.mean(1).mean(0), diverging.sum((0, 1))
    return HMCPosterior(target, visited, accepted, generator, divergences, step_size, stats=stats)


def _move(walk: Walk, modes: Jumps | None) -> HamiltonianMove:
    move = walk.move(walk.step_size.average)
    if modes is not None:
        walk.state = modes.jump(walk.target, walk.state, walk.noise)
    return move


def _jumps(model: VAE, target: Target, generator: torch.Generator) -> Jumps:
    return Jumps.of(target, guesses(model, target, generator), generator)


def _first(target: Target, chains: int, noise: Noise, modes: Jumps | None) -> Tensor:
    """Return the starting points of the chains, (C, B, D)."""
    if modes is None:
        return _likely_points(target, chains, noise)
    like = target.x.new_empty(chains, len(target), target.latents)
    return modes.draw(like, noise)


def _likely_points(target: Target, chains: int, noise: Noise) -> Tensor:
    """Resample some thousand prior draws by p(z | x_seen), C for each row, (C, B, D).

    The wider half of the draws reaches modes whose mass prior draws would miss. All rows share the
    same points.
    """
    prior = target.model.prior(1)
    z = scattered_prior_draws(prior, noise.generator)[:, None]
    # 2 q(z) = p(z) + p((z + μ)/2) / 2^D
    far = prior.log_prob((z + prior.mean) / 2) - target.latents * math.log(2)
    log_q = torch.logaddexp(prior.log_prob(z), far)
    u = noise.uniform(z.new_empty(1, len(target)))[0]
    chosen = [
        _systematic(
            (target.rows(rows).log_joint_table(z[:, 0]) - log_q).softmax(0), chains, u[rows]
        )
        for rows in torch.arange(len(target), device=z.device).split(_ROWS)
    ]
    return z[torch.cat(chosen, 1), 0]


def _systematic(weights: Tensor, count: int, u: Tensor) -> Tensor:
    """Draw a systematic sample of indices (count, B) by weights (G, B) that sum to one.

    The number of times that an index is drawn is proportional to its weight, to within one. u (B,)
    is uniform in [0, 1).
    """
    ticks = (torch.arange(count, device=u.device) + u[:, None]) / count
    reached = weights.cumsum(0).T.contiguous()
    index = torch.searchsorted(reached, ticks, right=True)
    return index.T.clamp(max=len(weights) - 1)


def _require_shape(z: Tensor, shape: tuple[int, ...]) -> None:
    if z.shape != shape:
        raise UsageError(
            "these starting points do not fit the data",
            why=f"their shape is {tuple(z.shape)}; expected {shape}",
            fix="start from a posterior of the same rows and model",
        )
