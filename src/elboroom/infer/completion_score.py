"""The score of a completion: how probable the withheld pixels were, given the seen ones."""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor

from elboroom.errors import require_positive
from elboroom.infer.completion import Posterior
from elboroom.infer.diagnostics import importance_ess
from elboroom.infer.encoder import amortised
from elboroom.infer.observed import check_data_and_mask
from elboroom.infer.target import Target
from elboroom.model.decoding import chunks
from elboroom.model.posteriors import Density
from elboroom.model.vae import VAE


@runtime_checkable
class Fit(Posterior, Protocol):
    """A posterior that is a density q, one that can be evaluated."""

    @property
    def q(self) -> Density:
        """The fit."""
        ...


@runtime_checkable
class Exact(Posterior, Protocol):
    """A posterior whose density is p(x_seen, z)/p(x_seen), the latter known."""

    @property
    def log_evidence(self) -> Tensor:
        """log p(x_seen) in nats, (B,)."""
        ...


@runtime_checkable
class Particles(Exact, Protocol):
    """A posterior that is K weighted draws, which tell its evidence too."""

    @property
    def z(self) -> Tensor:
        """The draws, (K, B, D)."""
        ...

    @property
    def log_weights(self) -> Tensor:
        """log w, whose mean over K is the evidence, (K, B)."""
        ...


@runtime_checkable
class Chains(Posterior, Protocol):
    """A posterior that is the draws of Markov chains."""

    @property
    def draws(self) -> Tensor:
        """T draws of each of C chains, (T, C, B, D)."""
        ...


@dataclass(frozen=True)
class CompletionScore:
    """How probable the unseen pixels of each row were, given the seen ones.

    Attributes:
        log_prob: (B,), an estimate of log p(x_unseen | x_seen) in nats; 0 where all is seen.
        standard_error: (B,), of that estimate, by the delta method.
        ess: (B,), how many draws share the sum, were they independent. At a few, the draws met
            hardly any z that explains the unseen pixels: the score is then too low, and by more
            than its standard error says.
    """

    log_prob: Tensor
    standard_error: Tensor
    ess: Tensor


@torch.no_grad()
def completion_score(
    model: VAE,
    x: Tensor,
    mask: Tensor,
    posterior: Posterior,
    *,
    generator: torch.Generator,
    draws: int = 1_000,
    whole: Fit | None = None,
    correct: bool = True,
) -> CompletionScore:
    """Score the completion of `x` by the pixels that `mask` withheld from `posterior`.

    The estimate is log Σ_k w_k p(x_unseen | z_k) / Σ_k w_k, with z_k after what the posterior is:

    - a fit, with a density `q`: draws of q, weighted by p(x_seen, z)/q(z), so that the estimate is
      of log p(x_unseen | x_seen) whatever q is. Without this correction it is of
      log ∫ p(x_unseen | z) q(z) dz, the score of the fit's own belief: no better on average than
      that of the exact posterior, and so the one by which to compare methods;
    - weighted particles, with `z` and `log_weights`: these themselves, however many;
    - a grid, or another that knows its `log_evidence`: draws of it, weighted alike.

    As many draws again come from a fit to the whole image: where the withheld pixels are a
    surprise, hardly any draw given the seen ones explains them. At each z the two share the weight
    by their densities, the balance heuristic of Veach & Guibas, *Optimally combining sampling
    techniques* (1995), so that the estimate stays consistent however poor either fit is. A fit that
    misses a mode of p(z | x_seen) altogether shows only in far more draws: its corrected score is
    then too high.

    Chains, and any posterior that only draws, have no density. Their estimate is the plain
    log 1/K Σ_k p(x_unseen | z_k), of the law that the draws come from. Chains, with `draws`, are
    evenly thinned to about as many as asked for, and the error counts their correlation.

    Where z has one or two dimensions, two grids give the same exactly, as log p(x) − log p(x_seen).

    Args:
        model: its decoder is used; its encoder too where `whole` is not given.
        x: (B, *event); a withheld pixel that is NaN is not known, and not scored.
        mask: True where a pixel is seen, like `x` or broadcast to it.
        posterior: of the same rows, given what the mask shows of them.
        generator: feeds the draws of the encoder's q; others feed their own.
        draws: K, of the posterior and of the fit to the whole image each.
        whole: a fit to the same rows without a mask; None for the encoder's q(z | x).
        correct: whether draws of a fit are weighted.

    Raises:
        UsageError: the mask does not fit, a seen or withheld value is infinite, a seen one is NaN,
            or there are no draws.
    """
    require_positive(draws=draws)
    x, seen = check_data_and_mask(x, mask)[0], mask.expand(x.shape)
    known = ~x.isnan()
    unseen = Target.of(model, x, known & ~seen)
    if not isinstance(posterior, Fit | Exact):
        return _score([_plain(posterior, draws)], unseen)
    other = amortised(model, x, known, generator=generator) if whole is None else whole
    belief = _Belief(posterior, Target.of(model, x, seen), correct)
    return _score(_shared(belief, other, draws), unseen)


@dataclass(frozen=True)
class _Draws:
    """z (T, C, B, D) of C chains, independent draws being chains of one; log w (T, C, B)."""

    z: Tensor
    log_weights: Tensor

    @classmethod
    def independent(cls, z: Tensor, log_weights: Tensor) -> "_Draws":
        return cls(z[None], log_weights[None])

    @property
    def count(self) -> int:
        return self.log_weights[..., 0].numel()


def _plain(posterior: Posterior, draws: int) -> _Draws:
    if not isinstance(posterior, Chains):
        z = posterior.sample(draws)
        return _Draws.independent(z, torch.zeros_like(z[..., 0]))
    length, chains = posterior.draws.shape[:2]
    z = posterior.draws[:: max(1, length * chains // draws)]
    return _Draws(z, torch.zeros_like(z[..., 0]))


@dataclass(frozen=True)
class _Belief:
    """A posterior that has a density."""

    posterior: Fit | Exact
    target: Target
    correct: bool

    def densities(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """In nats, of z (K, B, D), each (K, B).

        log π, normalised, as the posterior has it; and log f, of what is integrated over: of
        p(x_seen, z), or where that is not corrected of π itself.
        """
        log_joint = self.target.log_joint(z)
        if not isinstance(self.posterior, Fit):
            return log_joint - self.posterior.log_evidence.to(log_joint), log_joint
        log_density = self.posterior.q.log_prob(z)
        return log_density, log_joint if self.correct else log_density


def _shared(belief: _Belief, other: Fit, draws: int) -> list[_Draws]:
    """Draws of the posterior π and of the other fit r, which share the weight of each z."""
    particles = belief.posterior if isinstance(belief.posterior, Particles) else None
    z = belief.posterior.sample(draws) if particles is None else particles.z
    log_pi, log_f = belief.densities(z)
    log_w = log_f - log_pi if particles is None else particles.log_weights
    # log w = log f/π + log π/(π + r)
    own = _Draws.independent(z, log_w + F.logsigmoid(log_pi - other.q.log_prob(z)))
    z = other.sample(draws)
    log_pi, log_f = belief.densities(z)
    log_r = other.q.log_prob(z)
    # log w = log f/r + log r/(π + r)
    return [own, _Draws.independent(z, log_f - log_r + F.logsigmoid(log_r - log_pi))]


def _score(parts: list[_Draws], unseen: Target) -> CompletionScore:
    log_w = [part.log_weights - math.log(part.count) for part in parts]
    # log w_k + log p(x_unseen | z_k)
    log_wp = [w + _log_likelihood(unseen, part.z) for part, w in zip(parts, log_w, strict=True)]
    log_terms, total = _pooled(log_wp), _pooled(log_w).logsumexp(0)
    log_prob = log_terms.logsumexp(0) - total
    variance = torch.zeros_like(log_prob)
    for wp, w in zip(log_wp, log_w, strict=True):
        # by the delta method, draw k moves the score by w_k p_k / Σ_j w_j p_j − w_k / Σ_j w_j
        moves = (wp - log_prob - total).exp() - (w - total).exp()
        variance += _variance_of_sum(moves)
    return CompletionScore(log_prob, variance.sqrt(), importance_ess(log_terms))


def _pooled(parts: list[Tensor]) -> Tensor:
    """Each (T, C, B), together (K, B)."""
    return torch.cat([part.flatten(0, 1) for part in parts])


def _log_likelihood(target: Target, z: Tensor) -> Tensor:
    """log p(x_seen | z) in nats, z (T, C, B, D) → (T, C, B)."""
    flat = z.flatten(0, 1)
    log_prob = torch.empty_like(flat[..., 0])
    for rows in chunks(target.model, target.x, flat):
        part = target.rows(rows)
        log_prob[:, rows] = part.model.log_likelihood(part.x, flat[:, rows], part.mask)
    return log_prob.unflatten(0, z.shape[:2])


def _variance_of_sum(values: Tensor) -> Tensor:
    """The variance of the sum of correlated values, (T, C, B) → (B,).

    By the initial positive sequence of Geyer, *Practical Markov chain Monte Carlo* (1992), section
    3.3: with γ_t the autocovariances, T C times −γ_0 + 2 Σ_m (γ_2m + γ_2m+1), up to the first sum
    ≤ 0. Draws that alternate count as log10 T C independent ones each at most, as in Vehtari et al.
    (2021).
    """
    length, count = len(values), values[..., 0].numel()
    centred = values - values.mean((0, 1))
    power = torch.fft.rfft(centred, 2 * length, 0).abs().square().mean(1)
    covariance = torch.fft.irfft(power, 2 * length, 0)[: length + length % 2] / length
    pairs = covariance.unflatten(0, (-1, 2)).sum(1)
    positive = (pairs > 0).cummin(0).values
    variance = 2 * (pairs * positive).sum(0) - covariance[0]
    least = covariance[0] / max(1.0, math.log10(count))
    # T C · T C/(T C − 1) · σ², and one draw tells nothing
    return variance.maximum(least) * (count * count / (count - 1) if count > 1 else math.nan)
