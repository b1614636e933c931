"""The standard normal density N(0, I)."""

import math

from torch import Tensor

LOG_2PI = math.log(2 * math.pi)


def log_standard_normal(eps: Tensor) -> Tensor:
    """Compute log N(ε; 0, I) in nats, (..., D) → (...)."""
    # log N(ε; 0, I) = −½ Σ_d [ ε_d² + log 2π ]
    return -0.5 * (eps.square() + LOG_2PI).sum(-1)
