"""How good an answer is, read from arrays: importance weights (K, B) or Markov chains (T, C, B, D).

The estimators are those of arviz-stats; here they meet this library's shapes.
"""

import numpy as np
import torch
from arviz_stats.base.array import array_stats
from torch import Tensor

_FLAT = 1e-3  # nats: so near, weights of a float32 density differ by rounding

RELIABLE_K_HAT = 0.7
"""Below it, importance sampling is reliable (Vehtari et al., 2024)."""


def pareto_k(log_weights: Tensor) -> Tensor:
    """The shape k̂ of the weights' tail, (K, B) → (B,): reliable below `RELIABLE_K_HAT`.

    Vehtari et al., *Pareto smoothed importance sampling* (2024). It needs some hundreds of draws.
    −∞ where the largest are within 0.001 nats, ∞ where they span more than a float can hold.
    """
    ordered = np.sort(_array(log_weights), axis=0)
    tail = int(np.ceil(min(0.2 * len(ordered), 3 * np.sqrt(len(ordered)))))
    largest, low, below = ordered[-1], ordered[-tail + tail // 4], ordered[-tail - 1]
    flat = largest - ordered[-tail] < _FLAT
    k_hat = np.where(flat, -np.inf, np.inf)
    # arviz-stats divides by what the lower quartile of the tail stands above what is below it
    fitted = ~flat & (np.exp(low - largest) > np.exp(below - largest))
    if fitted.any():
        # it takes log-likelihoods left out, whose importance weights are their inverse
        k_hat[fitted] = array_stats.psislw(-ordered[:, fitted], axis=0)[1]
    return torch.from_numpy(k_hat).to(log_weights)


def importance_ess(log_weights: Tensor) -> Tensor:
    """The effective number of draws, (Σ w)² / Σ w², between 1 and K: (K, B) → (B,)."""
    # log ESS = 2 log Σ w − log Σ w²
    log_ess = 2 * torch.logsumexp(log_weights, 0) - torch.logsumexp(2 * log_weights, 0)
    return log_ess.exp()


def split_rhat(chains: Tensor) -> Tensor:
    """The rank-normalised split R̂ of T draws of C chains, (T, C, B, D) → (B, D); 1 when mixed.

    Vehtari et al., *Rank-normalization, folding, and localization* (2021).
    """
    with np.errstate(divide="ignore", invalid="ignore"):  # chains that never moved: NaN
        found = array_stats.rhat(_array(chains), chain_axis=1, draw_axis=0)
    return torch.from_numpy(np.asarray(found)).to(chains)


def chain_ess(chains: Tensor) -> Tensor:
    """The bulk effective sample size of T draws of C chains, (T, C, B, D) → (B, D)."""
    found = array_stats.ess(_array(chains), chain_axis=1, draw_axis=0)
    return torch.from_numpy(np.asarray(found)).to(chains)


def _array(values: Tensor) -> np.ndarray:
    return values.detach().double().cpu().numpy()
