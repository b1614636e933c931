"""The inference gap: the loss by amortisation and the loss by the family of q.

Cremer, Li & Duvenaud, *Inference Suboptimality in Variational Autoencoders* (2018), section 3.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from elboroom.config import FitName, GapsConfig, MethodName
from elboroom.data import noun
from elboroom.device import require_room
from elboroom.errors import UsageError, require_positive
from elboroom.evaluation.estimate import Estimate, as_tables
from elboroom.html_table import Shown, Summary, Table
from elboroom.infer.diagnostics import RELIABLE_K_HAT, pareto_k
from elboroom.infer.grid import grid
from elboroom.infer.methods import infer_each, sir_from_modes
from elboroom.infer.observed import Array, check_data_and_mask
from elboroom.infer.posterior import VariationalPosterior
from elboroom.infer.sir import sir
from elboroom.model.arguments import checked
from elboroom.model.bounds import elbo
from elboroom.model.posteriors import MOST_DENSE
from elboroom.model.vae import VAE

_MOST_GRID_LATENTS = 2
_RELIABLE = f"k̂ < {RELIABLE_K_HAT}"
_NAMES = {
    "log_evidence": "log p(seen)",
    "amortisation": "amortisation gap, {best} − encoder",
    "approximation": "approximation gap, log p(seen) − {best}",
    "inference": "inference gap, {whole}",
}


@dataclass(frozen=True, repr=False)
class Evidence(Shown):
    """log p(x_seen) of B rows.

    Attributes:
        by: the method, "grid" or "importance sampling".
        value: (B,), in nats.
        error: (B,), the change at the last refinement of the grid, or the standard error.
        k_hat: (B,), k̂ of the importance weights; −∞ for the grid.

    Example:
        >>> from elboroom.evaluation import gaps
        >>> found = gaps(model, x, mask, generator=generator, methods=()).evidence
        >>> found.by, found.value.shape, found.reliable
        ('grid', torch.Size([3]), 1.0)
    """

    by: str
    value: Tensor
    error: Tensor
    k_hat: Tensor

    @property
    def reliable(self) -> float:
        """The share of rows with reliable importance weights; 1 for the grid."""
        return (self.k_hat < RELIABLE_K_HAT).double().mean().item()

    def line(self, noun: str = "image") -> str:
        """Write the method, and how far it can be trusted, in a line."""
        line = f"log p(seen) by {self.by}, mean error {self.error.mean():.4f} nats per {noun}"
        if self.by == "grid":
            return line
        return f"{line}; k̂ < {RELIABLE_K_HAT} for {self.reliable:.0%} of the {noun}s"

    def _summary(self) -> Summary:
        facts = {"log p(seen), nats": Estimate.of(self.value)}
        return Summary(f"{len(self.value):,} rows", facts, notes=[self.line("row")])


@dataclass(frozen=True, repr=False)
class FitQuality(Shown):
    """The quality of a density q as an approximation of the posteriors of B rows.

    Attributes:
        elbo: (B,), in nats.
        k_hat: (B,), k̂ of its importance weights.

    Example:
        >>> from elboroom.evaluation import gaps
        >>> found = gaps(model, x, mask, generator=generator, methods=())
        >>> list(found.fits)
        ['encoder', 'svi']
        >>> found.fits["svi"].elbo > found.fits["encoder"].elbo  # one fit for each row
        tensor([True, True, True])
    """

    elbo: Tensor
    k_hat: Tensor

    def _summary(self) -> Summary:
        reliable = (self.k_hat < RELIABLE_K_HAT).double().mean()
        facts = {"ELBO, nats": Estimate.of(self.elbo), _RELIABLE: f"{reliable:.0%}"}
        return Summary(f"{len(self.elbo):,} rows", facts)


@dataclass(frozen=True, repr=False)
class Gaps(Shown):
    """log p(x_seen) of B rows, and fits with their ELBOs below it.

    Attributes:
        evidence: log p(x_seen).
        fits: by method: "encoder", "partial-encoder" if the model has one, the best of the
            encoder's family, and others.
        best: the method that finds the best q of the encoder's family: "svi", "svi-full" or
            "svi-flow"; None for a family that no method fits, such as that of a ladder.
        noun: the word for one row of the data, "image" or "row".

    Example:
        >>> from elboroom.evaluation import gaps
        >>> found = gaps(model, x, mask, generator=generator, methods=("svi-full",))
        >>> list(found.summary())
        ['log_evidence', 'amortisation', 'approximation', 'inference']
        >>> torch.allclose(found.inference, found.amortisation + found.approximation)
        True
    """

    evidence: Evidence
    fits: dict[MethodName, FitQuality]
    best: MethodName | None = "svi"
    noun: str = "image"

    @classmethod
    def join(cls, parts: list["Gaps"]) -> "Gaps":
        """Concatenate the rows of all parts, which have the same fits."""
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
        return cls(evidence, fits, parts[0].best, parts[0].noun)

    def columns(self) -> dict[str, Tensor | str]:
        """Return all that this holds by name, which `of_columns` reads."""
        found: dict[str, Tensor | str] = {
            "best": self.best or "",
            "noun": self.noun,
            **vars(self.evidence),
        }
        for method, fit in self.fits.items():
            found |= {f"{method} elbo": fit.elbo, f"{method} k_hat": fit.k_hat}
        return found

    @classmethod
    def of_columns(cls, columns: Mapping[str, Any]) -> "Gaps":
        """Return the gaps whose columns these are."""
        names = [name.removesuffix(" elbo") for name in columns if name.endswith(" elbo")]
        evidence = Evidence(*(columns[name] for name in ("by", "value", "error", "k_hat")))
        fits: Any = {n: FitQuality(columns[f"{n} elbo"], columns[f"{n} k_hat"]) for n in names}
        return cls(evidence, fits, columns["best"] or None, columns["noun"])

    @property
    def amortisation(self) -> Tensor:
        """The loss because images have no fit of their own, in nats, (B,).

        Raises:
            UsageError: no method fits the encoder's family.
        """
        # L[q*] − L[q]
        return self.fits[self._best].elbo - self.fits["encoder"].elbo

    @property
    def approximation(self) -> Tensor:
        """The loss because the posterior is not in the encoder's family, in nats, (B,).

        Raises:
            UsageError: no method fits that family.
        """
        return self.below_evidence(self._best)

    @property
    def _best(self) -> MethodName:
        if self.best is None:
            raise UsageError(
                "the inference gap of this encoder is not split",
                why="no method of inference fits a density of its family to each row",
                fix="take `inference`, the whole gap, or set `best_fit` of the density",
            )
        return self.best

    @property
    def inference(self) -> Tensor:
        """The whole gap of the encoder, in nats, (B,): the sum of the other two, where known."""
        return self.below_evidence("encoder")

    def below_evidence(self, method: MethodName) -> Tensor:
        """Compute KL(q ‖ p(z | x_seen)) of a fit in nats, (B,)."""
        # log p(x_seen) − L[q]
        return self.evidence.value - self.fits[method].elbo

    def summary(self) -> dict[str, Estimate]:
        """Estimate the means over images of log p(x_seen), and of the gaps that are known."""
        found = {"log_evidence": self.evidence.value}
        if self.best is not None:
            found |= {"amortisation": self.amortisation, "approximation": self.approximation}
        return Estimate.of_each(found | {"inference": self.inference}, self.noun)

    def summary_of(self, method: MethodName) -> dict[str, Estimate]:
        """Estimate the means over images of the `elbo` of a fit, its `gap`, and `reliable`.

        A fit is reliable for importance sampling if k̂ < 0.7; the mean is the share of images.
        """
        reliable = (self.fits[method].k_hat < RELIABLE_K_HAT).double()
        known = {"elbo": self.fits[method].elbo, "gap": self.below_evidence(method)}
        return Estimate.of_each(known | {"reliable": reliable}, self.noun)

    @property
    def lines(self) -> list[str]:
        """The means of log p(seen) and of the gaps, and the quality of the evidence."""
        facts = (f"{name}: {estimate}" for name, estimate in self._facts.items())
        return [*facts, self.evidence.line(self.noun)]

    @property
    def _facts(self) -> dict[str, str]:
        """The means of log p(seen) and of the gaps, by their names for people."""
        whole = "the sum of both" if self.best else "log p(seen) − encoder"
        return {
            _NAMES[name].format(best=self.best, whole=whole): f"{estimate:.3f} nats"
            for name, estimate in self.summary().items()
        }

    def table(self) -> Table:
        """Lay out a row for each fit: its ELBO, its gap, and the share of rows with a small k̂."""
        found = {method: self.summary_of(method) for method in self.fits}
        rows = [
            (method, str(fit["elbo"]), f"{fit['gap']:.3f}", f"{fit['reliable']:.0%}")
            for method, fit in found.items()
        ]
        headings = "", "ELBO", "gap to log p(seen)", _RELIABLE
        return Table(headings, rows, "nats, ± one standard error")

    def _summary(self) -> Summary:
        notes = [self.evidence.line(self.noun)]
        title = f"{len(self.evidence.value):,} {self.noun}s"
        return Summary(title, self._facts, [self.table()], notes)

    def to_dict(self) -> dict[str, Any]:
        """Return the summaries as JSON types."""
        summary: dict[str, Any] = as_tables(self.summary())
        fits = {method: as_tables(self.summary_of(method)) for method in self.fits}
        quality = {
            "by": self.evidence.by,
            "error_of_an_image": self.evidence.error.mean().item(),
            "reliable": self.evidence.reliable,
        }
        evidence = summary.pop("log_evidence") | quality
        return {"log_evidence": evidence, "gaps": summary, "fits": fits}


@checked
@torch.no_grad()
def gaps(
    model: VAE,
    x: Array,
    mask: Array | None = None,
    *,
    generator: torch.Generator,
    methods: tuple[FitName, ...] | None = GapsConfig.method,
    k: int = GapsConfig.k,
) -> Gaps:
    """Split the inference gap of every row into its causes.

    With one or two latents log p(x_seen) is integrated on a grid. With more it is estimated by
    importance sampling from a mixture of the modes, widened until its tails cover the posterior's.
    That estimate is too low on average (Burda et al., 2016), but hardly so if k̂ is small. No method
    fits the posterior of a ladder to a row, so its gap stays whole; the samples are those of its
    encoder where that sees the whole row, or of its partial encoder.

    Args:
        model: model with the encoder.
        x: (B, *event), numbers of any type.
        mask: True where a pixel is seen, like `x` or broadcast to it; None for all.
        generator: random generator of the fits and the samples.
        methods: further fits to compare with the encoder and the best of its family. None takes
            "svi-full" and "svi-mixture", or beyond 300 latents "laplace".
        k: number of samples of z per image, for each fit and for the evidence; k̂ needs some
            hundreds.

    Raises:
        UsageError: if the mask does not fit, a seen value is not finite, or k is not positive.
        GridError: if the finest grid does not resolve a posterior.

    Example:
        >>> from elboroom.evaluation import gaps
        >>> found = gaps(model, x, mask, generator=generator, methods=("svi-full",))
        >>> found.evidence.by, list(found.fits)
        ('grid', ['encoder', 'svi', 'svi-full'])
        >>> found.amortisation.shape, found.approximation.shape  # nats for each row
        (torch.Size([3]), torch.Size([3]))
    """
    require_positive(k=k)
    x, mask = check_data_and_mask(model, x, mask)
    require_room((k, len(x), model.latents), x, k=k)
    best, word = model.posterior(x[:1]).best_fit, noun(tuple(x.shape[1:]))
    methods = _compared(model) if methods is None else methods
    own: list[MethodName] = [] if best is None else [best]
    others: list[MethodName] = [name for name in methods if name != best]
    partial: list[MethodName] = [] if model.partial_encoder is None else ["partial-encoder"]
    names: tuple[MethodName, ...] = ("encoder", *partial, *own, *others)
    found = infer_each(names, model, x, mask, generator=generator)
    fits: dict[MethodName, FitQuality] = {
        n: _quality(p, k) for n, p in found.items() if isinstance(p, VariationalPosterior)
    }
    if model.latents <= _MOST_GRID_LATENTS:
        exact = grid(model, x, mask, generator=generator)
        no_tail = torch.full_like(exact.error, -torch.inf)
        return Gaps(Evidence("grid", exact.log_evidence, exact.error, no_tail), fits, best, word)
    importance = sir if _knows_best(model, mask, best) else sir_from_modes
    particles = importance(model, x, mask, generator=generator, particles=k)
    error, k_hat = particles.log_evidence_standard_error, pareto_k(particles.log_weights)
    evidence = Evidence("importance sampling", particles.log_evidence, error, k_hat)
    return Gaps(evidence, fits, best, word)


def _knows_best(model: VAE, mask: Tensor | None, best: MethodName | None) -> bool:
    """Return whether the networks of a model know its posterior better than modes do."""
    sees_all = model.partial_encoder is not None or mask is None or bool(mask.all())
    return best is None and sees_all


def _compared(model: VAE) -> tuple[FitName, ...]:
    """Return the richer fits that suit the model's number of latents."""
    return ("laplace",) if model.latents > MOST_DENSE else ("svi-full", "svi-mixture")


def _quality(posterior: VariationalPosterior, k: int) -> FitQuality:
    log_weights = posterior.log_weights(k)
    return FitQuality(elbo(log_weights), pareto_k(log_weights))
