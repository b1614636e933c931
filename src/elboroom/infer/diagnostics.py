"""Diagnostics of importance weights (K, B) and of Markov chains (T, C, B, D).

The diagnostics of chains are those of arviz-stats, adapted to the shapes of this library.
"""

import math

import numpy as np
import torch
from arviz_stats.base.array import array_stats
from torch import Tensor

from elboroom.errors import UsageError

_FLAT = 1e-3  # nats: smaller differences between weights of a float32 density are rounding
_LEAST = 1e-300
_LEAST_TAIL = 5
_ROWS = 256  # rows that are fitted at a time
_PRIOR = 10.0  # weight of the prior of k, in excesses

LEAST_DRAWS = 4
"""The number of draws of a chain that R̂ and the effective sample size need."""

RELIABLE_K_HAT = 0.7
"""The k̂ below which importance sampling is reliable (Vehtari et al., 2024)."""


LEAST_ESS = 50
"""The effective sample size below which the weights of a few draws decide."""

MIXED_RHAT = 1.01
"""The R̂ below which chains have mixed (Vehtari et al., 2021, section 4)."""


def pareto_k(log_weights: Tensor) -> Tensor:
    """Estimate the shape k̂ of the weights' tail, (K, B) → (B,): reliable below `RELIABLE_K_HAT`.

    Vehtari et al., *Pareto smoothed importance sampling* (2024). It needs hundreds of draws. The
    result is −∞ if the largest log-weights differ by less than 0.001 nats. It is ∞ if their spread
    exceeds the range of a float, or if there are too few draws for a tail of five.
    """
    # M = ⌈min(S/5, 3 √S)⌉
    tail = math.ceil(min(len(log_weights) / 5, 3 * math.sqrt(len(log_weights))))
    if tail < _LEAST_TAIL:
        return torch.full_like(log_weights[0], math.inf)
    largest = log_weights.detach().cpu().double().topk(tail + 1, 0).values.T.flip(-1)
    weights = (largest - largest[:, -1:]).exp()
    excess = weights[:, 1:] - weights[:, :1]
    k_hat = torch.full_like(excess[:, 0], math.inf)
    fitted = excess[:, _quartile(tail)] > _LEAST  # the fit divides by this excess
    if fitted.any():
        k_hat[fitted] = torch.cat([_pareto_shape(rows) for rows in excess[fitted].split(_ROWS)])
    k_hat[largest[:, -1] - largest[:, 1] < _FLAT] = -math.inf
    return k_hat.to(log_weights)


def _pareto_shape(excess: Tensor) -> Tensor:
    """Fit the shape k of a generalised Pareto law to n ascending excesses, (B, n) → (B,).

    This is the quasi-Bayesian estimate of Zhang & Stephens, *A New and Efficient Estimation Method
    for the Generalized Pareto Distribution* (2009), whose k has the opposite sign. It is drawn
    towards ½ with the weight of ten excesses (Vehtari et al., 2024, appendix C).
    """
    n = excess.shape[-1]
    m = 30 + math.isqrt(n)
    steps = 1 - (m / (torch.arange(m, dtype=excess.dtype) + 0.5)).sqrt()
    # θ_j = 1/y_n + (1 − √(m / (j − ½))) / (3 y*),  y* the lower quartile
    theta = 1 / excess[:, -1:] + steps / (3 * excess[:, _quartile(n), None])
    k = (-theta[..., None] * excess[:, None]).log1p().mean(-1)
    # log likelihood of θ_j at its own k_j = 1/n Σ_i log(1 − θ_j y_i)
    log_likelihood = n * ((-theta / k).log() - k - 1)
    mean = (theta * log_likelihood.softmax(-1)).sum(-1, keepdim=True)
    return (n * (-mean * excess).log1p().mean(-1) + 0.5 * _PRIOR) / (n + _PRIOR)


def _quartile(n: int) -> int:
    """Return the index of the lower quartile among n ascending values."""
    return max(0, int(n / 4 + 0.5) - 1)


def importance_ess(log_weights: Tensor) -> Tensor:
    """Compute the effective sample size (Σ w)² / Σ w², between 1 and K: (K, B) → (B,)."""
    # log ESS = 2 log Σ w − log Σ w²
    log_ess = 2 * torch.logsumexp(log_weights, 0) - torch.logsumexp(2 * log_weights, 0)
    return log_ess.exp()


def split_rhat(chains: Tensor) -> Tensor:
    """Compute the rank-normalised split R̂ of chains, (T, C, B, D) → (B, D); 1 when mixed.

    It is ∞ for chains that never moved. Vehtari et al., *Rank-normalization, folding, and
    localization* (2021).

    Raises:
        UsageError: if the chains have fewer than four draws.
    """
    _require_draws(chains)
    with np.errstate(divide="ignore", invalid="ignore"):  # chains that never moved give NaN
        found = array_stats.rhat(_array(chains), chain_axis=1, draw_axis=0)
    return torch.from_numpy(np.asarray(found)).to(chains).masked_fill(_still(chains), math.inf)


def chain_ess(chains: Tensor) -> Tensor:
    """Compute the bulk effective sample size of chains, (T, C, B, D) → (B, D).

    It is 1 for chains that never moved.

    Raises:
        UsageError: if the chains have fewer than four draws.
    """
    _require_draws(chains)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = array_stats.ess(_array(chains), chain_axis=1, draw_axis=0)
    return torch.from_numpy(np.asarray(found)).to(chains).masked_fill(_still(chains), 1.0)


def _require_draws(chains: Tensor) -> None:
    """Check that chains (T, …) are long enough for R̂ and for an effective sample size.

    Raises:
        UsageError: if T < 4.
    """
    if len(chains) < LEAST_DRAWS:
        raise UsageError(
            "the mixing of these chains is unknown",
            why=f"found draws = {len(chains)}; R̂ and the effective sample size compare the halves "
            f"of each chain, so expected {LEAST_DRAWS} or more",
            fix=f"give draws={LEAST_DRAWS} or more; some hundreds are usual",
        )


def _still(chains: Tensor) -> Tensor:
    """Return which coordinates never moved in any chain, (T, C, B, D) → (B, D)."""
    return (chains == chains[:1]).all(0).all(0)


def _array(values: Tensor) -> np.ndarray:
    return values.detach().double().cpu().numpy()
