"""Any `torch.distributions.Distribution` over z as the prior."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent
from torch.distributions.transforms import Transform

from elboroom.errors import UsageError
from elboroom.model.networks.layers import at_least_float32
from elboroom.model.posteriors import Density
from elboroom.model.priors.prior import Prior, StandardNormal

_DRAWS = 1 << 16  # for the reach, and for a centre where the mean is unknown
_DEVIATIONS = 8.0
_FAR = 0.999  # the share of draws within the reach, at least
_SHARE = 1e-3  # of the typical curvature: the least curvature in any direction


def prior_of(prior: Prior | Distribution | None, latents: int, like: Tensor) -> Prior:
    """Return the prior of a model: N(0, I), a prior as it is, or a distribution of PyTorch's.

    Raises:
        UsageError: it is none of these, or a distribution that is no density of D real latents.
    """
    if prior is None:
        return StandardNormal(latents).to(like)
    if isinstance(prior, Distribution):
        return DistributionPrior(prior, latents).to(like)
    if isinstance(prior, Prior):
        return prior
    raise UsageError(
        f"a {type(prior).__name__} cannot be the prior",
        why="expected an elboroom.model.priors.Prior or a torch.distributions.Distribution",
        fix="derive it from Prior: docs/extending.md has one",
    )


@dataclass(frozen=True)
class DistributionDensity(Density):
    """A distribution over z, repeated for each of `rows` rows.

    Attributes:
        distribution: over one z, (D,).
        centre: its mean, or its median where the mean is unknown or infinite, (D,).
        rows: B.
    """

    distribution: Distribution
    centre: Tensor
    rows: int

    @property
    def mean(self) -> Tensor:
        """E[z], (B, D); the median where the distribution does not know it."""
        return self.centre.expand(self.rows, -1)

    def sample(self, k: int, generator: torch.Generator) -> Tensor:
        """Draw k values of z for each row, (k, B, D)."""
        return _draws(self.distribution, (k, self.rows), generator)

    def log_prob(self, z: Tensor) -> Tensor:
        """Compute log p(z) in nats, z (..., D) → (...)."""
        with torch.autocast(z.device.type, enabled=False):
            return self.distribution.log_prob(z)


class DistributionPrior(Prior):
    """A distribution of PyTorch's over z, which stays as it is: nothing of it is trained.

    Args:
        distribution: of one z, with batch shape () and event shape (D,); or of D independent
            latents, with batch shape (D,) and event shape ().
        latents: D.
    """

    def __init__(self, distribution: Distribution, latents: int) -> None:
        super().__init__()
        shapes = tuple(distribution.batch_shape), tuple(distribution.event_shape)
        if shapes == ((latents,), ()):
            distribution = Independent(distribution, 1)
        elif shapes != ((), (latents,)):
            raise _other_shapes(distribution, latents)
        draws = _draws(distribution, (_DRAWS,), torch.Generator().manual_seed(0)).cpu()
        draws = at_least_float32(draws)
        _require_real_and_constant(distribution, 100 * draws[:8])
        self.distribution = distribution
        self.register_buffer("centre", _centre(distribution, draws), persistent=False)
        self._reach = _reach(draws)

    centre: Tensor

    def forward(self, batch: int) -> DistributionDensity:
        """Return the distribution, repeated for each of `batch` rows."""
        return DistributionDensity(self.distribution, self.centre, batch)

    def curvature(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Compute ∇ log p(z), (B, D), and |−∇² log p(z)|, (B, D, D), by differentiation.

        The absolute value is of the eigenvalues, as in Dauphin et al. (2014), so that tails heavier
        than a Gaussian's give a positive definite matrix. It is exact where log p is concave.
        """
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            log_prob = self.forward(len(z)).log_prob(z).sum()
            gradient = torch.autograd.grad(log_prob, z, create_graph=True)[0]
            rows = [_second_derivative(g, z) for g in gradient.unbind(-1)]
        values, vectors = torch.linalg.eigh(-torch.stack(rows, -2))
        gradient = gradient.detach()
        typical = values.abs().mean(-1) + gradient.square().mean(-1)
        least = (_SHARE * typical + torch.finfo(z.dtype).eps)[:, None]
        # |H| = Q |Λ| Qᵀ
        return gradient, vectors * values.abs().maximum(least)[:, None] @ vectors.mT

    @property
    def reach(self) -> float:
        """A distance from 0 within which every latent has nearly all of its mass."""
        return self._reach

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "DistributionPrior":
        """Move the distribution with the model: PyTorch's distributions are no modules."""
        self.distribution = _mapped(self.distribution, fn, {})
        return super()._apply(fn, recurse)


def _draws(
    distribution: Distribution, shape: tuple[int, ...], generator: torch.Generator
) -> Tensor:
    """Draw by a generator, which PyTorch's distributions do not take: seed the global state by it.

    The global state is as before afterwards.
    """
    seed = int(torch.randint(1 << 62, (), generator=generator, device=generator.device))
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        draw = distribution.rsample if distribution.has_rsample else distribution.sample
        return draw(torch.Size(shape))


def _second_derivative(slope: Tensor, z: Tensor) -> Tensor:
    if not slope.requires_grad:  # log p is linear, as of a Laplace distribution
        return torch.zeros_like(z)
    return torch.autograd.grad(
        slope.sum(), z, retain_graph=True, allow_unused=True, materialize_grads=True
    )[0]


def _centre(distribution: Distribution, draws: Tensor) -> Tensor:
    try:
        mean = distribution.mean.detach()
    except NotImplementedError:
        mean = torch.full_like(draws[0], torch.nan)
    median = draws.median(0).values.to(mean)
    return torch.where(mean.isfinite(), mean, median).clone()


def _reach(draws: Tensor) -> float:
    """Return 8 standard deviations around the median, or more if the tails are heavy."""
    levels = torch.tensor([0.16, 0.5, 0.84], dtype=draws.dtype)
    low, median, high = draws.quantile(levels, 0)
    usual = median.abs() + _DEVIATIONS * (high - low) / 2
    far = draws.abs().quantile(_FAR, 0)
    return usual.maximum(far).max().item()


def _mapped(value: Any, fn: Callable[[Tensor], Tensor], done: dict[int, Any]) -> Any:
    """Copy a distribution with `fn` applied to its tensors, and to those of its parts.

    `done` holds the copies by the identity of the original: a transform and its inverse refer to
    each other.
    """
    if id(value) in done:
        return done[id(value)]
    if isinstance(value, Tensor):
        return fn(value)
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return type(value)(_mapped(one, fn, done) for one in value)
    if isinstance(value, Distribution | Transform):
        moved = done[id(value)] = copy.copy(value)
        parts = {name: _mapped(one, fn, done) for name, one in vars(value).items()}
        moved.__dict__.update(parts)
        return moved
    return value


def _require_real_and_constant(distribution: Distribution, far: Tensor) -> None:
    far = far.detach()
    try:
        support = distribution.support
    except NotImplementedError:
        support = None
    if support is not None and not support.check(torch.cat([far, -far])).all():
        raise UsageError(
            f"{distribution} cannot be the prior",
            why=f"its support is {support}; expected all real vectors, where the encoder's q lies",
            fix="transform it to the real line by torch.distributions.TransformedDistribution",
        )
    with torch.enable_grad():
        trained = distribution.log_prob(far).requires_grad
    if trained:
        raise UsageError(
            f"{distribution} cannot be the prior",
            why="its parameters require gradients, and the model would not train them",
            fix="detach them, or derive a Prior with nn.Parameters: docs/extending.md has one",
        )


def _other_shapes(distribution: Distribution, latents: int) -> UsageError:
    batch, event = tuple(distribution.batch_shape), tuple(distribution.event_shape)
    return UsageError(
        f"{distribution} cannot be the prior of {latents} latents",
        why=f"it has batch_shape {batch} and event_shape {event}; expected () and ({latents},), "
        f"or ({latents},) and ()",
        fix=f"give it parameters of shape ({latents},), for example by .expand(({latents},))",
    )
