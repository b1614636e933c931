"""The score of a completion: how probable the withheld pixels are, given the seen ones."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from elboroom.errors import require_positive
from elboroom.html_table import Shown, Summary, Table
from elboroom.infer.diagnostics import (
    LEAST_ESS,
    MIXED_RHAT,
    RELIABLE_K_HAT,
    importance_ess,
    pareto_k,
    split_rhat,
)
from elboroom.infer.grid import grid
from elboroom.infer.observed import (
    Array,
    Observed,
    check_data_and_mask,
    require_mask,
    require_seen_values,
)
from elboroom.infer.posterior import Posterior
from elboroom.infer.proposals import Proposals, density_of, wide_modes
from elboroom.infer.target import Target
from elboroom.model.arguments import checked
from elboroom.model.decoding import chunks
from elboroom.model.posteriors import Density
from elboroom.model.vae import VAE

_LEGEND = "± one standard error; ≥ too low on average; ( ) unreliable"
ScoreKind = Literal["exact", "estimate", "lower bound", "unreliable"]
"""How far a score can be relied on.

- exact: without Monte-Carlo error.
- estimate: within its standard error, as far as the weights can tell.
- lower bound: too low on average. Too few draws explain the withheld pixels.
- unreliable: too low or too high. The posterior of the seen pixels itself is covered badly.
"""


@dataclass(frozen=True, repr=False)
class CompletionScore(Shown):
    """The log-probability of each row's unseen pixels, in nats.

    Attributes:
        log_prob: (B,), the score; 0 where all is seen.
        standard_error: (B,), its standard error, by the delta method. It holds only where the kind
            is "estimate", and is 0 where the kind is "exact".
        kinds: B kinds.
        ess: (B,), the effective sample size of the weights: the smaller of those of the seen and of
            all pixels.
        k_hat: (B,), the shape k̂ of the weights' tail: the larger of the two.
        rhat: (B,), R̂ of the posterior's chains; NaN without chains.

    Example:
        >>> exact = infer.grid(model, x, mask, generator=generator)
        >>> score = infer.completion_score(model, x, mask, exact, generator=generator)
        >>> score.log_prob.shape, score.kinds
        (torch.Size([3]), ('exact', 'exact', 'exact'))
        >>> list(score.columns("score"))[:3]  # for a table
        ['score', 'score_kind', 'score_standard_error']
    """

    log_prob: Tensor
    standard_error: Tensor
    kinds: tuple[ScoreKind, ...]
    ess: Tensor
    k_hat: Tensor
    rhat: Tensor

    @property
    def reliable(self) -> Tensor:
        """True where the score is exact or an estimate, (B,)."""
        relied_on = [kind in ("exact", "estimate") for kind in self.kinds]
        return torch.tensor(relied_on, device=self.log_prob.device)

    def _summary(self) -> Summary:
        values = (self.log_prob, self.standard_error, self.ess, self.k_hat, self.rhat)
        rows = [
            (row, score_text(score, kind, error), f"{ess:,.1f}", f"{k_hat:.2f}", f"{rhat:.3f}")
            for row, (kind, (score, error, ess, k_hat, rhat)) in enumerate(
                zip(self.kinds, torch.stack(values, 1).tolist(), strict=True)
            )
        ]
        headings = ("row", "log p(unseen | seen), nats", "ESS", "k̂", "R̂")
        if self.rhat.isnan().all():  # no method with chains
            rows, headings = [row[:-1] for row in rows], headings[:-1]
        reliable = f"{int(self.reliable.sum()):,} of {len(self.kinds):,} rows"
        facts = {"reliable": reliable, "mean, nats": f"{self.log_prob.mean():z.2f}"}
        return Summary("", facts, [Table.of_first(headings, rows)], [_LEGEND])

    def columns(self, name: str) -> dict[str, list[float] | list[ScoreKind]]:
        """Return a column of B values for each quantity, as tables and JSON show them.

        The standard error is NaN where it does not hold.
        """
        error = self.standard_error.masked_fill(~self.reliable, math.nan)
        return {
            name: self.log_prob.tolist(),
            f"{name}_kind": list(self.kinds),
            f"{name}_standard_error": error.tolist(),
            f"{name}_ess": self.ess.tolist(),
            f"{name}_k_hat": self.k_hat.tolist(),
            f"{name}_rhat": self.rhat.tolist(),
        }


def score_text(log_prob: float, kind: ScoreKind, standard_error: float) -> str:
    """Write a score as what it is: -1.23 if exact, -1.23 ± 0.04, a bound ≥ -1.2, or (-1.2).

    Parentheses stand for an unreliable score.
    """
    if kind == "estimate":
        return f"{log_prob:z.2f} ± {standard_error:.2f}"
    return {
        "exact": f"{log_prob:z.2f}",
        "lower bound": f"≥ {log_prob:z.1f}",
        "unreliable": f"({log_prob:z.1f})",
    }[kind]


@checked
@torch.no_grad()
def completion_score(
    model: VAE,
    x: Array,
    mask: Array,
    posterior: Posterior,
    *,
    generator: torch.Generator,
    draws: int = 1_000,
) -> CompletionScore:
    """Estimate log p(x_unseen | x_seen), the log-probability of what `mask` withheld.

    It is log p(x) − log p(x_seen), a quantity of the model alone: a method is used to find it, and
    is not judged by it. `predictive_score` is the one to compare methods by.

    A grid gives it exactly, as the difference of two grids. In all other cases draws of three
    densities share their weights (`elboroom.infer.proposals`): the posterior's own, or kernels at
    its draws; the modes given the seen pixels; and the modes of the whole image. The same weighted
    draws estimate both evidences. Neither a poor fit nor a stuck chain makes the estimate wrong, as
    long as one of the three covers each posterior. The kind of a score says where the weights show
    that none does.

    Args:
        model: the model, whose decoder is used.
        x: (B, *event); a withheld pixel that is NaN is unknown, and not scored.
        mask: True where a pixel is seen, like `x` or broadcast to it.
        posterior: the posterior of the same rows, given the pixels that the mask shows.
        generator: random generator of the fits and the draws.
        draws: K, the number of draws of each of the three densities.

    Raises:
        UsageError: if data or mask do not fit the model, `mask` is None, the posterior was inferred
            from other seen values, under another mask or with another model, or `draws` is not
            positive.
        GridError: if the posterior is a grid, and none resolves the posterior of the whole image.

    Example:
        >>> exact = infer.grid(model, x, mask, generator=generator)
        >>> score = infer.completion_score(model, x, mask, exact, generator=generator)
        >>> score.kinds
        ('exact', 'exact', 'exact')
        >>> whole = infer.grid(model, x, generator=generator)
        >>> torch.allclose(score.log_prob, whole.log_evidence - exact.log_evidence)
        True
    """
    require_positive(draws=draws)
    case = _Case.of(model, x, mask, posterior)
    posterior.target.require_room(draws, draws=draws)
    if posterior.is_exact:
        return case.by_grids(generator)
    modes = (case.modes(seen, generator) for seen in (case.seen, case.known))
    proposals = Proposals((density_of(posterior, generator), *modes))
    z, log_q = proposals.draw(draws, generator)
    target = posterior.target
    # log w = log p(x_seen, z) − log 1/M Σ_m q_m(z)
    parts = [
        _Draws.independent(part, target.log_joint(part) - log_q_part)
        for part, log_q_part in zip(z, log_q, strict=True)
    ]
    return case.score(parts)


@checked
@torch.no_grad()
def predictive_score(
    model: VAE,
    x: Array,
    mask: Array,
    posterior: Posterior,
    *,
    generator: torch.Generator,
    draws: int = 1_000,
) -> CompletionScore:
    """Estimate log ∫ p(x_unseen | z) q(z) dz, the log-probability by the method's own q.

    It scores the completions that the method makes, and is the score to compare methods by. On
    average over images it is no better than `completion_score`, the score of the exact posterior.

    For a fit, draws of q and of the modes of the whole image share their weights. Weighted draws
    and chains are averaged as they are, chains evenly thinned to about `draws` draws in all; the
    standard error then accounts for their correlation, and R̂ decides on the kind of the score as
    well. For a grid it is the same as `completion_score`.

    Args:
        model: the model, whose decoder is used.
        x: (B, *event); a withheld pixel that is NaN is unknown, and not scored.
        mask: True where a pixel is seen, like `x` or broadcast to it.
        posterior: the posterior of the same rows, given the pixels that the mask shows.
        generator: random generator of the fits and the draws; chains have their own.
        draws: K, the number of draws; weighted draws are all used.

    Raises:
        UsageError: as `completion_score`.
        GridError: as `completion_score`.

    Example:
        >>> score = infer.predictive_score(model, x, mask, posterior, generator=generator)
        >>> score.log_prob.shape, score.reliable
        (torch.Size([3]), tensor([True, True, True]))
        >>> exact = infer.grid(model, x, mask, generator=generator)
        >>> infer.predictive_score(model, x, mask, exact, generator=generator).kinds
        ('exact', 'exact', 'exact')
    """
    require_positive(draws=draws)
    case = _Case.of(model, x, mask, posterior)
    posterior.target.require_room(draws, draws=draws)
    if posterior.is_exact:
        return case.by_grids(generator)
    if posterior.q is not None:
        return case.score(_of_fit(posterior.q, case.modes(case.known, generator), draws, generator))
    if posterior.particles is not None:
        return case.score([_Draws.independent(*posterior.particles)])
    # R̂ is NaN for chains that never moved, and these have not mixed.
    mixed = None if posterior.draws is None else case.rhat < MIXED_RHAT
    return case.score([_unweighted(posterior, draws)], mixed)


@dataclass(frozen=True)
class _Draws:
    """Draws z (T, C, B, D) of C chains and their log w (T, C, B).

    Independent draws are K chains of length one.
    """

    z: Tensor
    log_weights: Tensor

    @classmethod
    def independent(cls, z: Tensor, log_weights: Tensor) -> "_Draws":
        return cls(z[None], log_weights[None])

    @property
    def count(self) -> int:
        return self.log_weights[..., 0].numel()


def _of_fit(q: Density, whole: Density, draws: int, generator: torch.Generator) -> list[_Draws]:
    z, log_mixture = Proposals((q, whole)).draw(draws, generator)
    # log w = log q(z) − log ½ (q(z) + r(z))
    return [
        _Draws.independent(part, q.log_prob(part) - log_part)
        for part, log_part in zip(z, log_mixture, strict=True)
    ]


def _unweighted(posterior: Posterior, draws: int) -> _Draws:
    if posterior.draws is None:
        z = posterior.sample(draws)
        return _Draws.independent(z, torch.zeros_like(z[..., 0]))
    length, chains = posterior.draws.shape[:2]
    z = posterior.draws[:: max(1, length * chains // draws)]
    return _Draws(z, torch.zeros_like(z[..., 0]))


@dataclass(frozen=True)
class _Case:
    """A completion to score: x and the masks of its seen and of its known pixels, (B, *event)."""

    model: VAE
    x: Tensor
    seen: Tensor
    known: Tensor
    posterior: Posterior

    @classmethod
    def of(cls, model: VAE, x: Array, mask: Array, posterior: Posterior) -> "_Case":
        x, seen = check_data_and_mask(model, x, require_mask(mask))
        posterior.target.require_same(model, Observed.of(x, seen))
        assert seen is not None
        known = ~x.isnan()
        require_seen_values(model, x, known & ~seen, "withheld")
        return cls(model, x, seen, known, posterior)

    @property
    def rhat(self) -> Tensor:
        """R̂ of the posterior's chains, (B,); NaN without chains."""
        draws = self.posterior.draws
        if draws is None:
            return torch.full((len(self.x),), math.nan, device=self.x.device)
        return split_rhat(draws).amax(-1)

    def modes(self, seen: Tensor, generator: torch.Generator) -> Density:
        return wide_modes(self.model, self.x, seen, generator=generator)

    def by_grids(self, generator: torch.Generator) -> CompletionScore:
        """Subtract log p(x_seen) from log p(x), each by a grid."""
        evidence = self.posterior.log_evidence
        assert evidence is not None
        whole = grid(self.model, self.x, self.known, generator=generator)
        # log p(x_unseen | x_seen) = log p(x) − log p(x_seen)
        log_prob = torch.where(self._complete, 0.0, whole.log_evidence - evidence)
        exact = torch.zeros_like(log_prob)
        kinds: tuple[ScoreKind, ...] = ("exact",) * len(log_prob)
        return CompletionScore(
            log_prob, exact, kinds, exact + math.inf, exact - math.inf, self.rhat
        )

    def score(self, parts: list[_Draws], mixed: Tensor | None = None) -> CompletionScore:
        """Compute log Σ_k w_k p(x_unseen | z_k, x_seen) / Σ_k w_k.

        `mixed` is False for stuck chains.
        """
        log_w = [part.log_weights - math.log(part.count) for part in parts]
        # log w_k + log p(x_unseen | z_k, x_seen)
        log_p = (self._log_likelihood(part.z) for part in parts)
        log_wp = [w + p for w, p in zip(log_w, log_p, strict=True)]
        log_terms, log_weights = _pooled(log_wp), _pooled(log_w)
        total = log_weights.logsumexp(0)
        log_prob = log_terms.logsumexp(0) - total
        variance = torch.zeros_like(log_prob)
        for wp, w in zip(log_wp, log_w, strict=True):
            # By the delta method draw k changes the score by w_k p_k / Σ_j w_j p_j − w_k / Σ_j w_j.
            changes = (wp - log_prob - total).exp() - (w - total).exp()
            variance += _variance_of_sum(changes)
        ess, k_hat = (
            torch.stack([f(log_weights), f(log_terms)]) for f in (importance_ess, pareto_k)
        )
        covered, explained = (ess >= LEAST_ESS) & (k_hat < RELIABLE_K_HAT)
        covered = covered if mixed is None else covered & mixed
        kinds = _kinds(self._complete, covered, explained)
        return CompletionScore(
            log_prob, variance.sqrt(), kinds, ess.amin(0), k_hat.amax(0), self.rhat
        )

    def _log_likelihood(self, z: Tensor) -> Tensor:
        """Compute log p(x_unseen | z, x_seen) in nats, z (T, C, B, D) → (T, C, B)."""
        sites = self.model.likelihood.density.sites(self.known & ~self.seen)
        whole = _log_likelihood(Target.of(self.model, self.x, sites & self.known), z)
        beside = sites & self.seen
        if not beside.any():
            return whole
        # log p(x_unseen | z, x_seen) = log p(x | z) − log p(x_seen | z), on sites with both
        return whole - _log_likelihood(Target.of(self.model, self.x, beside), z)

    @property
    def _complete(self) -> Tensor:
        """True where no pixel is withheld, (B,)."""
        return ~(self.known & ~self.seen).flatten(1).any(1)


def _kinds(complete: Tensor, covered: Tensor, explained: Tensor) -> tuple[ScoreKind, ...]:
    """Name the kind of each row, from the verdicts on its weights, (B,)."""
    if_covered: dict[bool, ScoreKind] = {True: "estimate", False: "lower bound"}
    return tuple(
        "exact" if done else if_covered[good] if sound else "unreliable"
        for done, sound, good in zip(
            complete.tolist(), covered.tolist(), explained.tolist(), strict=True
        )
    )


def _pooled(parts: list[Tensor]) -> Tensor:
    """Join parts (T, C, B) into one table (K, B)."""
    return torch.cat([part.flatten(0, 1) for part in parts])


def _log_likelihood(target: Target, z: Tensor) -> Tensor:
    """Compute log p(x_seen | z) in nats, z (T, C, B, D) → (T, C, B)."""
    flat = z.flatten(0, 1)
    log_prob = torch.empty_like(flat[..., 0])
    for rows in chunks(target.model, target.x, flat):
        part = target.rows(rows)
        log_prob[:, rows] = part.model.log_likelihood(part.x, flat[:, rows], part.mask)
    return log_prob.unflatten(0, z.shape[:2])


def _variance_of_sum(values: Tensor) -> Tensor:
    """Estimate the variance of the sum of correlated values, (T, C, B) → (B,).

    The estimate is the initial positive sequence of Geyer, *Practical Markov chain Monte Carlo*
    (1992), section 3.3: with γ_t the autocovariances, T C times −γ_0 + 2 Σ_m (γ_2m + γ_2m+1), up to
    the first sum ≤ 0. A draw of an alternating chain counts as at most log10 T C independent draws,
    as in Vehtari et al. (2021).
    """
    length, count = len(values), values[..., 0].numel()
    centred = values - values.mean((0, 1))
    power = torch.fft.rfft(centred, 2 * length, 0).abs().square().mean(1)
    covariance = torch.fft.irfft(power, 2 * length, 0)[: length + length % 2] / length
    pairs = covariance.unflatten(0, (-1, 2)).sum(1)
    positive = (pairs > 0).cummin(0).values
    variance = 2 * (pairs * positive).sum(0) - covariance[0]
    least = covariance[0] / max(1.0, math.log10(count))
    # T C · T C/(T C − 1) · σ²; the variance is unknown from a single draw
    return variance.maximum(least) * (count * count / (count - 1) if count > 1 else math.nan)
