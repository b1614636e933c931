"""The inference gap, taken apart: what is lost by amortising, and what by the family of q.

Cremer, Li & Duvenaud, *Inference Suboptimality in Variational Autoencoders* (2018), section 3.
"""

from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
from torch import Tensor

from elboroom.config import FitName, GapsConfig, MethodName
from elboroom.errors import UsageError, require_positive
from elboroom.evaluation.estimate import Estimate
from elboroom.infer.diagnostics import RELIABLE_K_HAT, pareto_k
from elboroom.infer.grid import grid
from elboroom.infer.methods import infer_each, sir_from_modes
from elboroom.infer.posterior import VariationalPosterior
from elboroom.model.bounds import elbo
from elboroom.model.posteriors import Density
from elboroom.model.vae import VAE

_GRID_LATENTS = 2


@dataclass(frozen=True)
class Evidence:
    """log p(x_seen) of B rows.

    Attributes:
        by: how it was found: "grid" or "importance sampling".
        value: (B,), in nats.
        error: (B,), how far the grid moved when it was last refined, or the standard error.
        k_hat: (B,), of the importance weights; −∞ where the grid integrated.
    """

    by: str
    value: Tensor
    error: Tensor
    k_hat: Tensor

    @property
    def reliable(self) -> float:
        """The share of rows whose importance weights, if any, can be relied on."""
        return (self.k_hat < RELIABLE_K_HAT).double().mean().item()


@dataclass(frozen=True)
class FitQuality:
    """How near a density q comes to the posteriors of B rows.

    Attributes:
        elbo: (B,), in nats.
        k_hat: (B,), the shape of the tail of its importance weights.
    """

    elbo: Tensor
    k_hat: Tensor


@dataclass(frozen=True)
class Gaps:
    """log p(x_seen) of B rows, and fits whose ELBO stays below it.

    Attributes:
        evidence: log p(x_seen).
        fits: by method: "encoder", the best of its family, and others.
        best: which is the best of the encoder's family: "svi", "svi-full" or "svi-flow".
    """

    evidence: Evidence
    fits: dict[MethodName, FitQuality]
    best: MethodName = "svi"

    @classmethod
    def join(cls, parts: list["Gaps"]) -> "Gaps":
        """The rows of all parts, one after the other; they have the same fits."""
        found = [part.evidence for part in parts]
        evidence = Evidence(
            found[0].by,
            torch.cat([e.value for e in found]),
            torch.cat([e.error for e in found]),
            torch.cat([e.k_hat for e in found]),
        )
        fits: dict[MethodName, FitQuality] = {
            name: FitQuality(
                torch.cat([part.fits[name].elbo for part in parts]),
                torch.cat([part.fits[name].k_hat for part in parts]),
            )
            for name in parts[0].fits
        }
        return cls(evidence, fits, parts[0].best)

    @property
    def amortisation(self) -> Tensor:
        """What is lost as no image has a fit of its own, in nats, (B,)."""
        # L[q*] − L[q]
        return self.fits[self.best].elbo - self.fits["encoder"].elbo

    @property
    def approximation(self) -> Tensor:
        """What is lost as the posterior is not of the encoder's family, in nats, (B,)."""
        return self.below_evidence(self.best)

    @property
    def inference(self) -> Tensor:
        """The whole of the encoder's gap, the sum of the other two, in nats, (B,)."""
        return self.below_evidence("encoder")

    def below_evidence(self, method: MethodName) -> Tensor:
        """KL(q ‖ p(z | x_seen)) of a fit in nats, (B,)."""
        # log p(x_seen) − L[q]
        return self.evidence.value - self.fits[method].elbo

    def summary(self) -> dict[str, Estimate]:
        """Means over images of log p(x_seen) and of the gaps."""
        values = {
            "log_evidence": self.evidence.value,
            "amortisation": self.amortisation,
            "approximation": self.approximation,
            "inference": self.inference,
        }
        return {name: Estimate.of(value) for name, value in values.items()}

    def summary_of(self, method: MethodName) -> dict[str, Estimate]:
        """Means over images of the `elbo` of a fit, of its `gap`, and of whether it is `reliable`.

        With k̂ < 0.7 importance sampling from a fit can be relied on.
        """
        values = {
            "elbo": self.fits[method].elbo,
            "gap": self.below_evidence(method),
            "reliable": (self.fits[method].k_hat < RELIABLE_K_HAT).double(),
        }
        return {name: Estimate.of(value) for name, value in values.items()}

    def to_dict(self) -> dict[str, Any]:
        """All of this as data."""
        summary = {name: asdict(estimate) for name, estimate in self.summary().items()}
        fits = {
            method: {name: asdict(e) for name, e in self.summary_of(method).items()}
            for method in self.fits
        }
        quality = {
            "by": self.evidence.by,
            "error_of_an_image": self.evidence.error.mean().item(),
            "reliable": self.evidence.reliable,
        }
        evidence = summary.pop("log_evidence") | quality
        return {"log_evidence": evidence, "gaps": summary, "fits": fits}


@torch.no_grad()
def gaps(
    model: VAE,
    x: Tensor,
    mask: Tensor | None = None,
    *,
    generator: torch.Generator,
    methods: tuple[FitName, ...] = GapsConfig.method,
    k: int = GapsConfig.k,
) -> Gaps:
    """Take the inference gap of every row apart.

    With one or two latents log p(x_seen) is integrated on a grid. Beyond, it is estimated by
    importance sampling from a mixture of the modes, widened until its tails hold the posterior's:
    on average that is too low (Burda et al., 2016), and hardly so where k̂ is small.

    Args:
        model: whose encoder is judged.
        x: (B, *event).
        mask: True where a pixel is seen, like `x` or broadcast to it; None for all.
        generator: feeds the fits and the samples.
        methods: fits to set beside the encoder and the best of its family.
        k: samples of z an image, of each fit and of the evidence; k̂ takes some hundreds.

    Raises:
        UsageError: the mask does not fit, a seen value is not finite, k is not positive, or no
            method fits the family of the encoder's q.
        GridError: the finest grid does not resolve a posterior.
    """
    require_positive(k=k)
    best = _best_fit(model.posterior(x[:1]))
    others: list[MethodName] = [name for name in methods if name != best]
    names: tuple[MethodName, ...] = ("encoder", best, *others)
    found = infer_each(names, model, x, mask, generator=generator)
    posteriors = cast(dict[MethodName, VariationalPosterior], found)
    log_weights: dict[MethodName, Tensor] = {
        name: posterior.log_weights(k) for name, posterior in posteriors.items()
    }
    fits: dict[MethodName, FitQuality] = {
        name: FitQuality(elbo(w), pareto_k(w)) for name, w in log_weights.items()
    }
    if model.latents <= _GRID_LATENTS:
        exact = grid(model, x, mask, generator=generator)
        no_tail = torch.full_like(exact.error, -torch.inf)
        return Gaps(Evidence("grid", exact.log_evidence, exact.error, no_tail), fits, best)
    particles = sir_from_modes(model, x, mask, generator=generator, particles=k)
    error, k_hat = particles.log_evidence_standard_error, pareto_k(particles.log_weights)
    return Gaps(Evidence("importance sampling", particles.log_evidence, error, k_hat), fits, best)


def _best_fit(q: Density) -> MethodName:
    """Return the method that fits the best member of the family of the encoder's q."""
    if q.best_fit is None:
        raise UsageError(
            "the inference gap of this encoder cannot be split",
            why=f"no method of inference fits a {type(q).__name__} to each row",
            fix="set `best_fit` of the density, or use another posterior",
        )
    return q.best_fit
