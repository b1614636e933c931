"""How far an estimate of log p(x) can be off: bidirectional Monte Carlo on a model's own data."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from elboroom.config import AnnealingSchedule, EvaluateConfig
from elboroom.device import keep_freed_memory
from elboroom.errors import require_positive
from elboroom.evaluation.estimate import Estimate
from elboroom.infer.ais import density
from elboroom.infer.chains.annealing import Annealing
from elboroom.infer.chains.annealing_path import Path
from elboroom.infer.chains.noise import Noise
from elboroom.infer.laplace import laplace
from elboroom.infer.posterior import VariationalPosterior
from elboroom.infer.target import Target
from elboroom.model.bounds import iwae
from elboroom.model.posteriors import Density
from elboroom.model.vae import VAE
from elboroom.randomness import fork

Start = Callable[[VAE, Tensor, Tensor | None], Density | VariationalPosterior]


@dataclass(frozen=True)
class Certificate:
    """Stochastic bounds of log p(x_seen), between which it lies on average.

    Attributes:
        lower: (rows,), in nats, by chains that end at the posterior.
        upper: (rows,), in nats, by chains that begin there.
        x: (rows, *event), what was drawn from the model.
        z: (rows, D), from which it was drawn.
    """

    lower: Tensor
    upper: Tensor
    x: Tensor
    z: Tensor

    @property
    def gap(self) -> Tensor:
        """upper − lower, (rows,). A row's may be negative, their expectation may not."""
        return self.upper - self.lower

    @property
    def estimates(self) -> dict[str, Estimate]:
        """The means of `lower`, `upper` and `gap` over rows, which are independent."""
        named = {"lower": self.lower, "upper": self.upper, "gap": self.gap}
        return {name: Estimate.of(values) for name, values in named.items()}


@torch.no_grad()
def certify(
    model: VAE,
    *,
    rows: int,
    generator: torch.Generator,
    mask: Tensor | None = None,
    distributions: int = EvaluateConfig.distributions,
    chains: int = EvaluateConfig.chains,
    start: Start | None = None,
    schedule: AnnealingSchedule = EvaluateConfig.schedule,
) -> Certificate:
    """Bound log p(x_seen) from both sides where z is known: x is drawn from the model with its z.

    That z is an exact draw of p(z | x), from which the chains of `infer.ais` can be run backwards:
    Grosse, Ghahramani & Adams, *Sandwiching the marginal likelihood using bidirectional Monte
    Carlo* (2015). The mean gap bounds by how much `infer.ais` with the same options falls short on
    such data; Wu et al. (2017) read it as what it falls short on images that the model knows.

    Args:
        model: from which z and x are drawn.
        rows: how many.
        generator: draws z and x, and feeds the start and the chains.
        mask: what is seen of x, broadcast to (rows, *event); None for all.
        distributions: after q₀, each with one move.
        chains: C, of a row, in either direction.
        start: (model, x, mask) → q₀, as in `infer.ais`; None for the mixture of `infer.laplace`.
        schedule: of the inverse temperature.

    Raises:
        UsageError: the mask does not fit, a count is not positive, or the start is of
            another family or of other rows.
    """
    require_positive(rows=rows, distributions=distributions, chains=chains)
    z = model.prior(rows).sample(1, generator)[0]
    x, noise = model.decode(z).sample(generator), Noise(fork(generator), shared=False)
    target = Target.of(model, x, mask)
    keep_freed_memory()
    start = start or partial(laplace, generator=generator, mixture=True)
    annealing = Annealing.tuned(
        Path.of(target, density(start(model, x, mask))), distributions, schedule, noise
    )
    _, forwards, _ = annealing.forwards(chains, noise)
    backwards = annealing.backwards(z.expand(chains, -1, -1), noise)
    # E[log 1/C Σ_c w_c] ≤ log p(x) ≤ E[−log 1/C Σ_c 1/w′_c]
    return Certificate(iwae(forwards), -iwae(-backwards), x, z)
