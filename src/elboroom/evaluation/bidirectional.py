"""Bidirectional Monte Carlo: bounds of log p(x) from both sides on data that the model draws."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from elboroom.config import AnnealingSchedule, EvaluateConfig
from elboroom.data import noun
from elboroom.device import keep_freed_memory, require_room
from elboroom.errors import require_positive
from elboroom.evaluation.estimate import Estimate
from elboroom.html_table import Shown, Summary
from elboroom.infer.ais import density
from elboroom.infer.chains.annealing import Annealing
from elboroom.infer.chains.annealing_path import Path
from elboroom.infer.chains.noise import Noise
from elboroom.infer.laplace import laplace
from elboroom.infer.observed import Array, check_data_and_mask
from elboroom.infer.posterior import VariationalPosterior
from elboroom.infer.target import Target
from elboroom.model.arguments import checked
from elboroom.model.bounds import iwae
from elboroom.model.posteriors import Density
from elboroom.model.vae import VAE
from elboroom.randomness import fork

StartMethod = Callable[[VAE, Tensor, Tensor | None], Density | VariationalPosterior]


@dataclass(frozen=True, repr=False)
class Certificate(Shown):
    """Stochastic lower and upper bounds of log p(x_seen); both hold in expectation.

    Attributes:
        lower: (rows,), in nats, by chains that end at the posterior.
        upper: (rows,), in nats, by chains that begin at the posterior.
        x: (rows, *event), drawn from the model.
        z: (rows, D), the latents of x.

    Example:
        >>> from elboroom.evaluation import Certificate
        >>> lower, upper = torch.tensor([-90.5, -80.0]), torch.tensor([-90.0, -80.1])
        >>> found = Certificate(lower, upper, x[:2], z=torch.zeros(2, 2))
        >>> print(found.estimates["gap"])  # one of a row may be negative, the expectation is not
        0.20 ± 0.30
    """

    lower: Tensor
    upper: Tensor
    x: Tensor
    z: Tensor

    @classmethod
    def join(cls, parts: Sequence[Mapping[str, Tensor]]) -> "Certificate":
        """Concatenate the rows of all parts, each with the attributes by name."""
        return cls(**{name: torch.cat([part[name] for part in parts]) for name in parts[0]})

    @property
    def gap(self) -> Tensor:
        """The difference upper − lower, (rows,); it can be negative, but its expectation is not."""
        return self.upper - self.lower

    @property
    def estimates(self) -> dict[str, Estimate]:
        """The means of `lower`, `upper` and `gap` over rows. Rows are independent."""
        bounds = {"lower": self.lower, "upper": self.upper, "gap": self.gap}
        return Estimate.of_each(bounds, noun(tuple(self.x.shape[1:])))

    def _summary(self) -> Summary:
        word = noun(tuple(self.x.shape[1:]))
        names = {"lower": "lower bound of log p(x)", "upper": "upper bound", "gap": "gap"}
        found = {names[name]: f"{estimate:.3f}" for name, estimate in self.estimates.items()}
        unit = {"unit": f"nats per {word}, ± one standard error"}
        return Summary(f"{len(self.x):,} {word}s drawn from the model", found | unit)


@checked
@torch.no_grad()
def certify(
    model: VAE,
    *,
    rows: int,
    generator: torch.Generator,
    mask: Array | None = None,
    distributions: int = EvaluateConfig.distributions,
    chains: int = EvaluateConfig.chains,
    start: StartMethod | None = None,
    schedule: AnnealingSchedule = EvaluateConfig.schedule,
) -> Certificate:
    """Bound log p(x_seen) from both sides on x that is drawn from the model with its z.

    This z is an exact draw of p(z | x), so the chains of `infer.ais` can run backwards from it:
    Grosse, Ghahramani & Adams, *Sandwiching the marginal likelihood using bidirectional Monte
    Carlo* (2015). The mean gap bounds the bias of `infer.ais` with the same options on such data.
    Wu et al. (2017) take it also for the bias on images that the model knows.

    Args:
        model: model that z and x are drawn from.
        rows: number of rows.
        generator: random generator of z, x, the start and the chains.
        mask: True where a pixel is seen, broadcast to (rows, *event); None for all.
        distributions: number of distributions after q₀, each with one move.
        chains: C, the number of chains per row in each direction.
        start: (model, x, mask) → q₀, as in `infer.ais`; None for the mixture of `infer.laplace`.
        schedule: schedule of the inverse temperature.

    Raises:
        UsageError: if the mask does not fit, a count is not positive, or the start has
            another family or other rows.

    Example:
        >>> from elboroom.evaluation import certify
        >>> found = certify(model, rows=4, generator=generator, distributions=10, chains=4)
        >>> found.lower.shape, found.upper.shape
        (torch.Size([4]), torch.Size([4]))
        >>> abs(found.estimates["gap"].mean) < 0.5  # nats: log p(x) lies in between
        True
    """
    require_positive(rows=rows, distributions=distributions, chains=chains)
    weight = next(model.parameters())
    require_room((rows, *model.event_shape), weight, rows=rows)
    require_room((chains, rows, model.latents), weight, chains=chains, rows=rows)
    require_room((distributions, rows), weight, distributions=distributions, rows=rows)
    z = model.prior(rows).sample(1, generator)[0]
    x, mask = check_data_and_mask(model, model.decode(z).sample(generator), mask)
    noise = Noise(fork(generator), shared=False)
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
