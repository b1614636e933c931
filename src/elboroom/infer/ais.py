"""Annealed importance sampling: log p(x_seen) and weighted draws of p(z | x_seen)."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elboroom.config import AnnealingSchedule, EvaluateConfig
from elboroom.device import keep_freed_memory, require_room
from elboroom.errors import require_positive
from elboroom.infer.chains.annealing import TUNING, Annealing, gradients
from elboroom.infer.chains.annealing_path import Path
from elboroom.infer.chains.noise import Noise
from elboroom.infer.diagnostics import importance_ess, pareto_k
from elboroom.infer.laplace import laplace
from elboroom.infer.observed import Array
from elboroom.infer.posterior import VariationalPosterior
from elboroom.infer.sir import ParticlePosterior
from elboroom.infer.target import Target
from elboroom.infer.told_steps import OnStep, told_steps
from elboroom.model.arguments import checked
from elboroom.model.posteriors import Density
from elboroom.model.vae import VAE
from elboroom.randomness import fork

_TAIL = 200  # chains that are enough to fit the tail of their weights


@dataclass(frozen=True, repr=False)
class AnnealedPosterior(ParticlePosterior):
    """The ends of annealed chains, weighted draws of each row's posterior.

    exp(`log_weights`) is unbiased for p(x_seen), so `log_evidence` is too low on average.

    Attributes:
        acceptance: (B,), the mean probability that a move is accepted.

    Example:
        >>> annealed = infer.ais(model, x, mask, generator=generator, distributions=10, chains=8)
        >>> annealed.z.shape, annealed.log_weights.shape  # weighted draws
        (torch.Size([8, 3, 2]), torch.Size([8, 3]))
        >>> annealed.log_evidence.shape, annealed.mean.shape
        (torch.Size([3]), torch.Size([3, 2]))
        >>> list(annealed.diagnostics)
        ['ess', 'log_evidence_standard_error', 'acceptance']
    """

    acceptance: Tensor

    @property
    def diagnostics(self) -> dict[str, Tensor]:
        """The reliability of the weights, with `pareto_k` only for 200 chains or more."""
        known = {
            "ess": importance_ess(self.log_weights),
            "log_evidence_standard_error": self.log_evidence_standard_error,
            "acceptance": self.acceptance,
        }
        if len(self.z) < _TAIL:
            return known
        return {"pareto_k": pareto_k(self.log_weights)} | known


@checked
@torch.no_grad()
def ais(
    model: VAE,
    x: Array,
    mask: Array | None = None,
    *,
    generator: torch.Generator,
    start: Density | VariationalPosterior | None = None,
    distributions: int = EvaluateConfig.distributions,
    chains: int = EvaluateConfig.chains,
    schedule: AnnealingSchedule = EvaluateConfig.schedule,
    independent_rows: bool = False,
    on_step: OnStep = lambda step, total: None,
    progress: bool = False,
) -> AnnealedPosterior:
    """Anneal chains from q₀ to p(z | x_seen), and weight their ends.

    Neal, *Annealed importance sampling* (2001), with Hamiltonian moves; Wu et al., *On the
    quantitative analysis of decoder-based generative models* (2017). Other chains learn the step
    sizes of each row at each distribution beforehand, so the weights are unbiased at any length.
    The chains of a row are independent.

    Args:
        model: the model, whose decoder stays unchanged.
        x: (B, *event), numbers of any type.
        mask: True where a pixel is seen, like `x` or broadcast to it; None for all.
        generator: random generator of the chains and of the result's draws.
        start: q₀, a Gaussian of each row, or a mixture whose mean and covariance are used. None for
            the mixture of `infer.laplace`: it covers all modes that were found, and needs the
            fewest moves for whole and for partly seen images. The encoder's q may lie far from the
            posterior of a partly seen image. `model.prior(len(x))` makes no assumption, but needs
            far more distributions: over ten times as many for 50 latents.
        distributions: number of distributions after q₀, with one move each.
            `elboroom.evaluation.certify` measures whether they are enough: for MNIST with 50
            latents, 200 leave 0.02 nats.
        chains: C, the number of chains of each row.
        schedule: schedule of the inverse temperature; "sigmoid" is slow at both ends.
        independent_rows: True to give each row its own noise, so that the errors of rows are
            independent. By default rows share the noise, so that none depends on the others in its
            batch.
        on_step: called after each move with its number and the total, tuning included.
        progress: show the progress, in a notebook or a terminal.

    Raises:
        UsageError: if data or mask do not fit the model, a count is not positive,
            or the start belongs to another family or to other rows.

    Example:
        >>> annealed = infer.ais(model, x, mask, generator=generator, distributions=20)
        >>> exact = infer.grid(model, x, mask, generator=generator)
        >>> (annealed.log_evidence - exact.log_evidence).abs() < 0.5  # nats
        tensor([True, True, True])
    """
    target, noise = Target.of(model, x, mask), Noise(fork(generator), shared=not independent_rows)
    require_annealing(target, distributions, chains)
    count = itertools.count(1)
    keep_freed_memory()
    if start is None:
        start = laplace(model, x, mask, generator=generator, mixture=True)
    kernels = target.kernels_for(gradients(distributions, chains))
    path = Path.of(replace(target, kernels=kernels), density(start))
    with told_steps(on_step, progress, "AIS") as tell:

        def on_move() -> None:
            tell(next(count), TUNING + distributions)

        return annealed(path, noise, generator, distributions, chains, schedule, on_move)


def require_annealing(target: Target, distributions: int, chains: int) -> None:
    """Check that chains of a target can be annealed, before anything is computed.

    Raises:
        UsageError: a count is not positive, or the memory is not free.
    """
    require_positive(distributions=distributions, chains=chains)
    target.require_room(chains, chains=chains)
    require_room((distributions, len(target)), target.x, distributions=distributions)


def annealed(
    path: Path,
    noise: Noise,
    generator: torch.Generator,
    distributions: int,
    chains: int,
    schedule: AnnealingSchedule,
    on_move: Callable[[], None] = lambda: None,
) -> AnnealedPosterior:
    """Anneal chains along a path, as `ais` does.

    Args:
        path: the path from q₀ to each row's posterior.
        noise: noise of the chains.
        generator: random generator of the result's draws.
        distributions: number of distributions after q₀.
        chains: C, the number of chains of each row.
        schedule: schedule of the inverse temperature.
        on_move: called after each move.
    """
    annealing = Annealing.tuned(path, distributions, schedule, noise, on_move)
    ends, log_weights, acceptance = annealing.forwards(chains, noise, on_move)
    target = replace(path.target, kernels={})
    return AnnealedPosterior(target, path.z(ends.u), log_weights, generator, acceptance)


def density(start: Density | VariationalPosterior) -> Density:
    """Return the density of a start, which may be a fit."""
    return start.q if isinstance(start, VariationalPosterior) else start
