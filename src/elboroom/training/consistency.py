"""Consistency: an encoder that takes a moved picture for much the same as the picture itself.

Sinha & Dieng, *Consistency Regularization for Variational Auto-Encoders* (2021).
"""

import torch
from torch import Tensor

from elboroom.config import ObjectiveConfig, TrainConfig
from elboroom.config.checks import require
from elboroom.config.run import NO_ENCODER, require_moved_copies
from elboroom.model.laplace_posterior import NoEncoder
from elboroom.model.posteriors import Density, DiagonalGaussian
from elboroom.model.vae import VAE


def require_consistency(model: VAE, config: TrainConfig, objective: ObjectiveConfig) -> None:
    """Check that an objective with a consistency has moved images and an encoder.

    Raises:
        UsageError: if it has not.
    """
    require_moved_copies(objective, config)
    weight, encodes = objective.consistency, not isinstance(model.encoder, NoEncoder)
    require(not weight or encodes, "consistency", weight, NO_ENCODER)


def divergence(q: Density, other: Density, k: int, generator: torch.Generator) -> Tensor:
    """Compute KL(q ‖ other) of each row in nats, (B,), from k draws if it has no closed form."""
    if isinstance(q, DiagonalGaussian) and isinstance(other, DiagonalGaussian):
        return q.kl_to(other)
    z, log_q = q.draw(k, generator)
    # KL(q ‖ r) ≈ 1/K Σ_k log q(z_k) − log r(z_k),  z_k ~ q
    return (log_q - other.log_prob(z)).mean(0)
