"""The weights of several models of one table: stacking of predictive densities."""

import torch
from torch import Tensor

_STEPS = 1_000
_TOLERANCE = 1e-9  # change of the mean score at which the weights have settled
_LEAST = 0.01  # a model with a smaller weight is left out


def stacked(log_densities: Tensor) -> Tensor:
    """Return the weights w, (M,), that maximise the mean of log Σ_m w_m p_m over held-out data.

    Yao, Vehtari, Simpson & Gelman, *Using stacking to average Bayesian predictive distributions*
    (2018), equation 4. The objective is concave, and expectation maximisation climbs it.

    Args:
        log_densities: (M, N), the log density of N held-out data under each of M models, in nats.
    """
    wide = log_densities.double()
    weights, before = torch.full_like(wide[:, 0], 1 / len(wide)), -torch.inf
    for _ in range(_STEPS):
        joint = weights.log()[:, None] + wide
        # w_m ← 1/N Σ_n w_m p_m(n) / Σ_k w_k p_k(n)
        weights, score = joint.softmax(0).mean(1), joint.logsumexp(0).mean().item()
        if score - before < _TOLERANCE:
            break
        before = score
    kept = torch.where(weights >= min(_LEAST, weights.max().item()), weights, 0.0)
    return kept / kept.sum()
