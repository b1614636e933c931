"""Lower bounds of log p(x), computed from `log_weights`, (K, ...) → (...)."""

import math
from typing import TypeVar, cast

import torch
from torch import Tensor

_T = TypeVar("_T", float, Tensor)


def elbo(log_weights: Tensor) -> Tensor:
    """Compute the Monte-Carlo ELBO, E_q[log w]: (K, ...) → (...)."""
    return log_weights.mean(0)


def iwae(log_weights: Tensor) -> Tensor:
    """Compute the importance-weighted bound of Burda et al. (2015), eq. 8: (K, ...) → (...).

    Its expectation lies between the ELBO and log p(x), and does not fall with K.
    """
    # L_K = log 1/K Σ_k w_k
    return torch.logsumexp(log_weights, 0) - math.log(len(log_weights))


def renyi(log_weights: Tensor, alpha: float) -> Tensor:
    """Compute the variational Rényi bound of order α: (K, ...) → (...).

    Li & Turner, *Rényi Divergence Variational Inference* (2016), equation 7. It is `iwae` at α = 0
    and `elbo` at α = 1, and falls with α.
    """
    if alpha == 1:
        return elbo(log_weights)
    # L_α = 1/(1 − α) log 1/K Σ_k w_k^(1 − α)
    return iwae((1 - alpha) * log_weights) / (1 - alpha)


def bits_per_dimension(log_prob: _T, values: int | Tensor) -> _T:
    """Convert log p in nats of an event with so many values to bits per value."""
    return cast(_T, -log_prob / (values * math.log(2)))
