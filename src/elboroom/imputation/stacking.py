"""The weights of several models of one table: stacking of predictive densities."""

import torch
from torch import Tensor

_STEPS = 1_000
_TOLERANCE = 1e-6  # nats: a step that gains less ends
_LEAST = 0.01  # a model with a smaller weight is left out
_PRIOR = 4.0  # held-out data that each model has explained before: few data do not exclude one


def stacked(log_densities: Tensor) -> Tensor:
    """Return the weights w, (M,), that maximise Σ_n log Σ_m w_m p_m(n) + 4 Σ_m log w_m.

    Yao, Vehtari, Simpson & Gelman, *Using stacking to average Bayesian predictive distributions*
    (2018), equation 4, with a Dirichlet prior. The objective is concave, and expectation
    maximisation climbs it.

    Args:
        log_densities: (M, N), the log density of N held-out data under each of M models, in nats.
    """
    wide = log_densities.double()
    weights, before = wide.new_full((len(wide),), 1 / len(wide)), -torch.inf
    for _ in range(_STEPS):
        joint = weights.log()[:, None] + wide
        # w_m ∝ 4 + Σ_n w_m p_m(n) / Σ_k w_k p_k(n)
        explained = joint.softmax(0).sum(1) + _PRIOR
        score = (joint.logsumexp(0).sum() + _PRIOR * weights.log().sum()).item()
        weights = explained / explained.sum()
        if score - before < _TOLERANCE:
            break
        before = score
    kept = torch.where(weights >= _LEAST, weights, 0.0)
    return kept / kept.sum()
