"""What inference returns: p(z | x_seen) of every row, as far as the method knows it."""

import math
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from elboroom.infer.target import Target
from elboroom.model.posteriors import Density


class Posterior(Protocol):
    """p(z | x_seen) of B rows. Every method of `elboroom.infer` returns one."""

    @property
    def target(self) -> Target:
        """The log-density that it is the posterior of."""
        ...

    @property
    def mean(self) -> Tensor:
        """E[z | x_seen], (B, D)."""
        ...

    @property
    def diagnostics(self) -> dict[str, Tensor]:
        """What the method knows of its own quality: named values of each row, (B,)."""
        ...

    def sample(self, k: int) -> Tensor:
        """k draws, (k, B, D)."""
        ...


@dataclass(frozen=True)
class VariationalPosterior:
    """A density q fitted to each row's posterior.

    Attributes:
        target: log p(x_seen, z).
        q: the fit.
        elbo: (B,), its ELBO in nats, estimated from draws that the fit has not seen.
        elbo_standard_error: (B,), of that estimate.
        converged: (B,), whether the row met the method's rule for stopping.
        generator: feeds `sample` and `log_weights`.
    """

    target: Target
    q: Density
    elbo: Tensor
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
        k: int = 64,
    ) -> "VariationalPosterior":
        """Wrap q, its ELBO estimated from k fresh draws; converged everywhere unless told."""
        if converged is None:
            converged = torch.ones(len(target), dtype=torch.bool, device=target.x.device)
        log_weights = _log_weights(target, q, k, generator)
        error = log_weights.std(0) / math.sqrt(k)
        return cls(target, q, log_weights.mean(0), error, converged, generator)

    @property
    def mean(self) -> Tensor:
        """E_q[z], (B, D)."""
        return self.q.mean

    @property
    def diagnostics(self) -> dict[str, Tensor]:
        """Which rows converged, and the error of their ELBO."""
        return {"converged": self.converged, "elbo_standard_error": self.elbo_standard_error}

    def sample(self, k: int) -> Tensor:
        """k draws, (k, B, D)."""
        with torch.no_grad():
            return self.q.sample(k, self.generator)

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z) in nats: (..., B, D) → (..., B)."""
        return self.q.log_prob(z)

    def log_weights(self, k: int) -> Tensor:
        """log w = log p(x_seen, z_k) − log q(z_k) of k fresh draws, in nats, (k, B)."""
        return _log_weights(self.target, self.q, k, self.generator)


@torch.no_grad()
def _log_weights(target: Target, q: Density, k: int, generator: torch.Generator) -> Tensor:
    z, log_q = q.draw(k, generator)
    return target.log_joint(z) - log_q
