"""What is maximised. All but the closed-form ELBO reduce `log_weights`, (K, B) → (B,)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.model import VAE


@dataclass(frozen=True)
class ElboTerms:
    """The two terms of the ELBO, in nats per image, each (B,)."""

    reconstruction: Tensor
    """E_q[log p(x_seen | z)], estimated."""
    kl: Tensor
    """KL(q(z | x) ‖ p(z)), in closed form."""

    def elbo(self, beta: float = 1.0) -> Tensor:
        """Reconstruction − β KL; the ELBO where β = 1."""
        return self.reconstruction - beta * self.kl


def elbo_terms(
    model: VAE, x: Tensor, mask: Tensor | None = None, *, generator: torch.Generator, k: int = 1
) -> ElboTerms:
    """The ELBO's terms with the closed-form KL and k reparameterised samples.

    Kingma & Welling (2013), equation 10 with K = 1.
    """
    q = model.posterior(x, mask)
    # L(x) = 1/K Σ_k log p(x | z_k) − KL(q(z | x) ‖ p(z)),  z_k = μ + σ ε_k
    log_likelihood = model.decode(q.sample(k, generator)).log_prob(x, mask)
    return ElboTerms(log_likelihood.mean(0), q.kl_to_prior())


def elbo(log_weights: Tensor) -> Tensor:
    """The Monte-Carlo ELBO, E_q[log w]: (K, B) → (B,)."""
    return log_weights.mean(0)


def iwae(log_weights: Tensor) -> Tensor:
    """The importance-weighted bound of Burda et al. (2015), equation 8: (K, B) → (B,).

    In expectation it lies between the ELBO and log p(x), and does not fall with K.
    """
    # L_K = log 1/K Σ_k w_k
    return torch.logsumexp(log_weights, 0) - math.log(len(log_weights))
