"""The result of inference: p(z | x_seen) of every row, as far as the method knows it."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elboroom.data.summary import counted
from elboroom.errors import require_positive
from elboroom.html_table import Shown, Summary, Table
from elboroom.infer.arviz_tree import ArvizDraws, arviz_tree
from elboroom.infer.diagnostics import MIXED_RHAT, RELIABLE_K_HAT
from elboroom.infer.target import Target
from elboroom.model.arguments import checked
from elboroom.model.posteriors import Density

_ELBO_DRAWS = 64
_ARVIZ_DRAWS = 1_000
_MOST_SHOWN = 1 << 22  # numbers of draws whose diagnostics are computed to be shown
_QUANTITIES = {
    "elbo": "ELBO",
    "log_evidence": "log p(seen)",
    "pareto_k": "k̂",
    "rhat": "R̂",
    "ess": "ESS",
}
_LIMITS = {"pareto_k": RELIABLE_K_HAT, "rhat": MIXED_RHAT}


def quantity(name: str) -> str:
    """Return what a table calls a quantity of a posterior."""
    return _QUANTITIES.get(name, name.replace("_", " "))


@dataclass(frozen=True, repr=False)
class Posterior(Shown, ABC):
    """p(z | x_seen) of B rows, which every method of `elboroom.infer` returns.

    `mean`, `diagnostics` and `sample` are required. All other members have defaults: a method
    overrides those that it knows, and callers read them without asking for the class.

    Implementing an inference method:

    1. Write `infer/NAME.py` with a function NAME(model, x, mask=None, *, generator, …). It begins
       with `Target.of(model, x, mask)`, which checks data and mask, and gives log p(x_seen, z), its
       gradient and its curvature.
    2. Return a frozen dataclass that derives from this class. Where it takes `q`, `elbo` or `draws`
       as an argument, it declares the field with `= field()`; otherwise None is inherited.
    3. Add NAME to `MethodName` in `elboroom.config.kinds` and a line of help to `METHODS` there,
       then a row to `REGISTRY` in `elboroom.infer.methods`.

    Attributes:
        target: log p(x_seen, z), the log-density that this is the posterior of.
        q: the density that was fitted to each row; None for a method that fits none.
        elbo: (B,), the ELBO of `q` in nats; None without `q`.
        draws: (T, C, B, D), T draws of each of C Markov chains; None for a method without chains.

    Example:
        >>> posterior.mean.shape, posterior.sample(10).shape
        (torch.Size([3, 2]), torch.Size([10, 3, 2]))
        >>> list(posterior.evidence)  # a chain knows none, and a grid knows log p(x_seen)
        ['elbo']
        >>> list(posterior.diagnostics)
        ['converged', 'elbo_standard_error']
    """

    target: Target
    q: Density | None = field(default=None, init=False, repr=False)
    elbo: Tensor | None = field(default=None, init=False, repr=False)
    draws: Tensor | None = field(default=None, init=False, repr=False)

    @property
    @abstractmethod
    def mean(self) -> Tensor:
        """E[z | x_seen], (B, D)."""

    @property
    def covariance(self) -> Tensor | None:
        """Cov[z | x_seen], (B, D, D); None if only draws estimate it."""
        return None if self.q is None else self.q.covariance

    @property
    @abstractmethod
    def diagnostics(self) -> dict[str, Tensor]:
        """The method's estimates of its own quality: named values of each row, (B,)."""

    @abstractmethod
    def sample(self, k: int) -> Tensor:
        """Draw k times from each row's posterior, (k, B, D)."""

    @property
    def log_evidence(self) -> Tensor | None:
        """log p(x_seen) in nats, (B,), exact or an estimate; None if the method knows none."""
        return None

    @property
    def is_exact(self) -> bool:
        """True if `log_evidence` has no Monte-Carlo error."""
        return False

    @property
    def particles(self) -> tuple[Tensor, Tensor] | None:
        """Weighted draws z (K, B, D) and their log w (K, B) in nats; None for other methods.

        The mean of w over K estimates p(x_seen).
        """
        return None

    @property
    def kept_draws(self) -> int | None:
        """The number of draws of a row that `mean` and `diagnostics` are of; None for a fit."""
        if self.draws is not None:
            return self.draws.shape[:2].numel()
        return None if self.particles is None else len(self.particles[0])

    @property
    def evidence(self) -> dict[str, Tensor]:
        """`elbo` or `log_evidence`, (B,) in nats, by name; empty if the method knows neither."""
        known = {"elbo": self.elbo, "log_evidence": self.log_evidence}
        return {name: value for name, value in known.items() if value is not None}

    def _summary(self) -> Summary:
        facts: dict[str, object] = {
            "latents": self.target.latents,
            "fit": None if self.q is None else type(self.q).__name__,
            "draws kept of a row": self._kept,
        }
        title = counted(len(self.target), self.target.given.noun)
        if self.draws is not None and self.draws.numel() > _MOST_SHOWN:
            return Summary(title, facts, notes=["its diagnostics are in `diagnostics`"])
        known = self.evidence | self.diagnostics
        return Summary(title, facts, [_table(known)] if len(self.target) else [], _doubts(known))

    @property
    def _kept(self) -> str | None:
        """The number of draws, and of the chains that they are of."""
        if self.draws is not None:
            return f"{self.draws.shape[1]} chains × {len(self.draws):,}"
        return None if self.kept_draws is None else f"{self.kept_draws:,}"

    def log_prob(self, z: Tensor) -> Tensor | None:
        """Return log p(z | x_seen) in nats, (..., B, D) → (..., B); None if it is not known."""
        return None

    def sample_chains(self, k: int) -> Tensor:
        """Return k draws of each chain, (C, k, B, D); a method without chains has C = 1."""
        return self.sample(k)[None]

    @checked
    def to_arviz(
        self,
        draws: int | None = None,
        *,
        rows: Sequence[Any] | np.ndarray[Any, Any] | None = None,
        log_likelihood: bool = False,
    ) -> Any:
        """Return the posterior for ArviZ, an `xarray.DataTree` with these groups.

        - `posterior`: z (chain, draw, row, latent). Its attribute `draws` at the root says what
          the draws are. Those of Markov chains keep their chains. Independent draws of a density
          are one chain, and so are particles, which are resampled by their weights. ArviZ then has
          no R̂, and its effective sample size knows nothing of the fit or of the weights.
        - `sample_stats`: `lp`, log p(x_seen, z) in nats, and what the method knows of each draw, as
          `diverging` or `acceptance_rate`, all (chain, draw, row).
        - `observed_data`: x (row, …), NaN where it is not seen; `constant_data`: the mask.
        - `diagnostics`: the evidence and the method's diagnostics, (row,).
        - `log_likelihood`, if asked for: log p(x_i | z) in nats of each seen value, (chain, draw,
          seen), with its `row` and its place `value` in the flat event as coordinates. A row has
          its own z, so that `arviz_stats.loo` leaves out a value, not a row.

        Args:
            draws: draws of each chain, evenly spaced; None for all that chains keep, and for 1,000
                of a method without chains.
            rows: a label of each row, as numbers or names; None for 0 … B − 1.
            log_likelihood: True to add that group, of chain × draw × seen numbers.

        Raises:
            UsageError: ArviZ is not installed, the model has been trained further, there are fewer
                draws, the labels do not fit, or the memory is not free; also if the log-likelihood
                is asked for and draws are resampled particles, or values of a row depend on each
                other given z, as the channels of a mixture of logistics do.
        """
        require_positive(draws=1 if draws is None else draws)
        of_rows = self.evidence | self.diagnostics
        return arviz_tree(
            self.target,
            self._arviz_draws(draws),
            of_rows,
            type(self).__name__,
            rows=rows,
            log_likelihood=log_likelihood,
        )

    def _arviz_draws(self, k: int | None) -> ArvizDraws:
        """Return k draws that count the same; None for the method's default."""
        source = "independent" if self.particles is None else "resampled"
        return ArvizDraws(self.sample(k or _ARVIZ_DRAWS)[None], source, {})


def _table(known: dict[str, Tensor]) -> Table:
    """Lay out a row for each quantity, summarised over rows."""
    found = {name: values.double() for name, values in known.items()}
    rows = [
        (quantity(name), *(f"{x:z,.2f}" for x in (v.mean(), v.min(), v.max())))
        for name, v in found.items()
    ]
    unit = "ELBO and log p in nats" if {"elbo", "log_evidence"} & known.keys() else ""
    return Table(("over rows", "mean", "smallest", "largest"), rows, unit)


def _doubts(known: dict[str, Tensor]) -> list[str]:
    """Count the rows whose diagnostics say that they cannot be relied on."""
    found = []
    for name, limit in _LIMITS.items():
        rows = int((~(known[name] < limit)).sum()) if name in known else 0
        if rows:
            found.append(f"not reliable: {quantity(name)} ≥ {limit} for {counted(rows, 'row')}")
    return found


@dataclass(frozen=True, repr=False)
class VariationalPosterior(Posterior):
    """A density q fitted to each row's posterior.

    Attributes:
        target: log p(x_seen, z).
        q: the fit.
        elbo: (B,), its ELBO in nats, estimated from draws that the fit has not used.
        elbo_standard_error: (B,), the standard error of that estimate.
        converged: (B,), True where the row met the method's stopping rule.
        generator: random generator of `sample` and `log_weights`.

    Example:
        >>> type(posterior.q).__name__, posterior.covariance.shape
        ('Gaussian', torch.Size([3, 2, 2]))
        >>> posterior.elbo.shape, posterior.converged
        (torch.Size([3]), tensor([True, True, True]))
        >>> log_w = posterior.log_weights(200)  # of 200 fresh draws
        >>> log_w.shape, posterior.log_prob(posterior.sample(10)).shape
        (torch.Size([200, 3]), torch.Size([10, 3]))
    """

    q: Density = field()
    elbo: Tensor = field()
    elbo_standard_error: Tensor
    converged: Tensor
    generator: torch.Generator = field(repr=False)

    @classmethod
    def of(
        cls,
        target: Target,
        q: Density,
        generator: torch.Generator,
        *,
        converged: Tensor | None = None,
    ) -> "VariationalPosterior":
        """Wrap q and estimate its ELBO from 64 fresh draws; `converged` defaults to True."""
        if converged is None:
            converged = torch.ones(len(target), dtype=torch.bool, device=target.x.device)
        log_weights = _log_weights(target, q, _ELBO_DRAWS, generator)
        error = log_weights.std(0) / math.sqrt(_ELBO_DRAWS)
        return cls(target, q, log_weights.mean(0), error, converged, generator)

    @property
    def mean(self) -> Tensor:
        """E_q[z], (B, D)."""
        return self.q.mean

    @property
    def diagnostics(self) -> dict[str, Tensor]:
        """The rows that converged, and the standard error of each ELBO."""
        return {"converged": self.converged, "elbo_standard_error": self.elbo_standard_error}

    @checked
    def sample(self, k: int) -> Tensor:
        """Draw k times from q, (k, B, D)."""
        require_positive(k=k)
        self.target.require_room(k, k=k)
        with torch.no_grad():
            return self.q.sample(k, self.generator)

    def log_prob(self, z: Tensor) -> Tensor:
        """Compute log q(z) in nats: (..., B, D) → (..., B)."""
        return self.q.log_prob(z)

    @checked
    def log_weights(self, k: int) -> Tensor:
        """Compute log w = log p(x_seen, z_k) − log q(z_k) of k fresh draws, in nats, (k, B).

        Raises:
            UsageError: if k is not positive, or the model has been trained further.
        """
        require_positive(k=k)
        self.target.require_room(k, k=k)
        self.target.source.require_unchanged()
        return _log_weights(self.target, self.q, k, self.generator)


@torch.no_grad()
def _log_weights(target: Target, q: Density, k: int, generator: torch.Generator) -> Tensor:
    z, log_q = q.draw(k, generator)
    return target.log_joint(z) - log_q
