"""The score of a completion: the probability of the withheld pixels, given the seen ones."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from elboroom.errors import require_positive
from elboroom.infer.diagnostics import importance_ess
from elboroom.infer.encoder import encoder
from elboroom.infer.observed import check_data_and_mask
from elboroom.infer.posterior import Posterior, VariationalPosterior
from elboroom.infer.target import Target
from elboroom.model.decoding import chunks
from elboroom.model.vae import VAE


@dataclass(frozen=True)
class CompletionScore:
    """The probability of each row's unseen pixels, given the seen ones.

    Attributes:
        log_prob: (B,), an estimate of log p(x_unseen | x_seen) in nats; 0 where all is seen.
        standard_error: (B,), of that estimate, by the delta method.
        ess: (B,), the effective sample size of the sum if its draws were independent. If it is only
            a few, the draws contain hardly any z that explains the unseen pixels. The score is then
            too low, and by more than its standard error.
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
    whole: VariationalPosterior | None = None,
    correct: bool = True,
) -> CompletionScore:
    """Score the completion of `x` by the pixels that `mask` withheld from `posterior`.

    The estimate is log Σ_k w_k p(x_unseen | z_k) / Σ_k w_k. The draws z_k depend on what the
    posterior knows:

    - with a density `q`: draws of q, weighted by p(x_seen, z)/q(z), so that the estimate is of
      log p(x_unseen | x_seen) whatever q is. With `correct=False` it is of
      log ∫ p(x_unseen | z) q(z) dz, the score of the fit's own belief. This is on average no better
      than the score of the exact posterior, so it is the one to compare methods by;
    - with `particles`: all these weighted draws, whatever `draws` is;
    - with `log_evidence`, such as a grid: draws of the posterior, weighted in the same way.

    In these cases as many draws come from a fit to the whole image. Where the withheld pixels are
    surprising, hardly any draw given the seen ones explains them. At each z the two kinds of draws
    share the weight by their densities. This is the balance heuristic of Veach & Guibas, *Optimally
    combining sampling techniques* (1995), so the estimate stays consistent however poor either fit
    is. A fit that misses a mode of p(z | x_seen) altogether is noticed only with far more draws;
    until then its corrected score is too high.

    Chains, and any posterior without a density, give the plain log 1/K Σ_k p(x_unseen | z_k) over
    their draws, without a correction. Chains are evenly thinned to about `draws` draws in all, and
    the standard error accounts for their correlation.

    Where z has one or two dimensions, two grids give the same value exactly, as
    log p(x) − log p(x_seen).

    Args:
        model: the model, whose decoder is used; also its encoder if `whole` is None.
        x: (B, *event); a withheld pixel that is NaN is unknown, and not scored.
        mask: True where a pixel is seen, like `x` or broadcast to it.
        posterior: the posterior of the same rows, given the pixels that the mask shows.
        generator: random generator of the encoder's draws; the posterior and `whole` have theirs.
        draws: K, the number of draws of the posterior, and also of the fit to the whole image.
        whole: a fit to the same rows without a mask; None for the encoder's q(z | x).
        correct: whether to weight the draws of a fit.

    Raises:
        UsageError: if the mask does not fit, a seen or withheld value is infinite, a seen value is
            NaN, or `draws` is not positive.
    """
    require_positive(draws=draws)
    x, seen = check_data_and_mask(model, x, mask)[0], mask.expand(x.shape)
    known = ~x.isnan()
    unseen = Target.of(model, x, known & ~seen)
    if posterior.q is None and posterior.log_evidence is None:
        return _score([_unweighted(posterior, draws)], unseen)
    other = encoder(model, x, known, generator=generator) if whole is None else whole
    belief = _Belief(posterior, Target.of(model, x, seen), correct)
    return _score(_balanced(belief, other, draws), unseen)


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


def _unweighted(posterior: Posterior, draws: int) -> _Draws:
    if posterior.draws is None:
        z = posterior.sample(draws)
        return _Draws.independent(z, torch.zeros_like(z[..., 0]))
    length, chains = posterior.draws.shape[:2]
    z = posterior.draws[:: max(1, length * chains // draws)]
    return _Draws(z, torch.zeros_like(z[..., 0]))


@dataclass(frozen=True)
class _Belief:
    """A posterior with a density: its own `q`, or p(x_seen, z)/p(x_seen)."""

    posterior: Posterior
    target: Target
    correct: bool

    def densities(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Compute log π(z) and log f(z) in nats, z (K, B, D), each (K, B).

        π is the normalised density of the posterior. f is the integrand: p(x_seen, z), or π itself
        if the score is not corrected.
        """
        log_joint = self.target.log_joint(z)
        if self.posterior.q is not None:
            log_density = self.posterior.q.log_prob(z)
            return log_density, log_joint if self.correct else log_density
        assert self.posterior.log_evidence is not None
        return log_joint - self.posterior.log_evidence.to(log_joint), log_joint


def _balanced(belief: _Belief, other: VariationalPosterior, draws: int) -> list[_Draws]:
    """Draw from the posterior π and from the other fit r, which share the weight of each z."""
    particles = belief.posterior.particles
    z = belief.posterior.sample(draws) if particles is None else particles[0]
    log_pi, log_f = belief.densities(z)
    log_w = log_f - log_pi if particles is None else particles[1]
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
        # By the delta method draw k changes the score by w_k p_k / Σ_j w_j p_j − w_k / Σ_j w_j.
        changes = (wp - log_prob - total).exp() - (w - total).exp()
        variance += _variance_of_sum(changes)
    return CompletionScore(log_prob, variance.sqrt(), importance_ess(log_terms))


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
