"""The objective: bounds on log p(x) and estimators of their gradients.

All but the closed-form ELBO reduce `log_weights`, (K, B) → (B,).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from elboroom.config import ObjectiveConfig
from elboroom.errors import UsageError
from elboroom.model.bounds import renyi
from elboroom.model.posteriors import Density, DiagonalGaussian, LadderPosterior
from elboroom.model.priors import Prior, StandardNormal, kl_of_levels
from elboroom.model.vae import VAE
from elboroom.training.consistency import divergence


@dataclass(frozen=True)
class Bound:
    """The bound that a step maximises, and the two terms of the ELBO; in nats, each (B,)."""

    value: Tensor
    """The bound on log p(x_seen). Its value is the same whatever the gradient estimator."""
    reconstruction: Tensor
    """E_q[log p(x_seen | z)], estimated."""
    kl: Tensor
    """KL(q(z | x) ‖ p(z)), in closed form for the closed-form ELBO, else estimated."""
    divergence: Tensor | None = None
    """KL(q(z | x) ‖ r(z)) to another density r, where there is one."""

    @property
    def elbo(self) -> Tensor:
        """Reconstruction − KL, (B,)."""
        return self.reconstruction - self.kl

    def first(self, rows: int) -> "Bound":
        """Return the bound of the first rows."""
        return Bound(self.value[:rows], self.reconstruction[:rows], self.kl[:rows])

    @property
    def totals(self) -> Tensor:
        """Bound, reconstruction and KL, each summed over the batch, without gradients: (3,)."""
        return torch.stack([self.value.sum(), self.reconstruction.sum(), self.kl.sum()]).detach()


def _mean_of_rows(values: Tensor) -> Tensor:
    return values.mean(0)


def bound(
    model: VAE,
    x: Tensor,
    mask: Tensor | None = None,
    *,
    config: ObjectiveConfig,
    kl_warmup: float | Tensor = 1.0,
    generator: torch.Generator,
    mean: Callable[[Tensor], Tensor] = _mean_of_rows,
    moved: tuple[Tensor, Tensor | None] | None = None,
) -> Bound:
    """Compute the bound that `config` names from new reparameterised samples.

    With moved copies of the images it is the objective of Sinha & Dieng, *Consistency
    Regularization for Variational Auto-Encoders* (2021), equation 3, halved so that its size stays
    that of a bound. The terms of the ELBO are those of the images themselves.

    Args:
        model: the model whose parameters get the gradient.
        x: images, (B, *event).
        mask: True where a pixel is seen; with `iwae` this is MIWAE (Mattei & Frellsen, 2019).
        config: the bound, its number of samples, and the estimator of its gradient.
        kl_warmup: factor of β, in [0, 1].
        generator: random generator of the samples.
        mean: the mean over the rows of the batch, (B, …) → (…), of which `x` may be a share.
        moved: a moved copy of each image, and where its pixels are seen; None without consistency.
    """
    terms = _Terms(model, config, kl_warmup * config.beta, generator, mean)
    q = model.posterior(x, mask)
    own = terms.given(q, x, mask)
    if moved is None:
        return own
    copy = terms.given(model.posterior(*moved), *moved, q)
    assert copy.divergence is not None
    # ½ [ L(x) + L(x̃) − λ KL(q(z | x̃) ‖ q(z | x)) ]
    value = 0.5 * (own.value + copy.value - config.consistency * copy.divergence)
    return replace(own, value=value)


@dataclass(frozen=True)
class _Terms:
    """The bound of a model as a function of its posterior and of x; `bound` has the arguments.

    Attributes:
        beta: the factor of the KL, warm-up included.
    """

    model: VAE
    config: ObjectiveConfig
    beta: float | Tensor
    generator: torch.Generator
    mean: Callable[[Tensor], Tensor]

    def given(
        self, q: Density, x: Tensor, mask: Tensor | None, other: Density | None = None
    ) -> Bound:
        """Compute the bound, and the divergence of q from another posterior if there is one."""
        if isinstance(q, LadderPosterior):
            assert other is None or isinstance(other, LadderPosterior)
            return self._of_ladder(q, x, mask, other)
        found = self._of_level(q, x, mask)
        if other is None:
            return found
        return replace(found, divergence=divergence(q, other, self.config.k, self.generator))

    def _of_level(self, q: Density, x: Tensor, mask: Tensor | None) -> Bound:
        """Compute the bound of a model of one level."""
        model, config = self.model, self.config
        if config.free_bits:
            _require_kl_per_latent(model.prior, q)
        kl = model.prior.kl(q) if config.objective == "elbo" else None
        if kl is not None:
            log_likelihood = model.log_likelihood(x, q.sample(config.k, self.generator), mask)
            penalty = kl
            if config.free_bits:
                penalty = self._with_free_bits(cast(DiagonalGaussian, q).kl_per_latent().T)
            return _closed_form(log_likelihood, kl, penalty, self.beta)
        z, log_q = q.draw(config.k * config.m, self.generator)
        log_likelihood = model.log_likelihood(x, z, mask)
        log_ratio = _log_ratio(model, q, z, log_q, config)
        return _sampled(z, log_likelihood, log_ratio, config, self.beta)

    def _of_ladder(
        self, q: LadderPosterior, x: Tensor, mask: Tensor | None, other: LadderPosterior | None
    ) -> Bound:
        """Compute the bound of a ladder, from one way down for each sample.

        With the ELBO the KL of a level is in closed form given those above, and free bits are of
        levels instead of latents. So is the divergence from another posterior, if there is one.
        """
        model, config = self.model, self.config
        drawn = q.descend(config.k * config.m, self.generator, other)
        apart = None if drawn.divergence is None else drawn.divergence.sum(0).mean(0)
        log_likelihood = model.likelihood(drawn.parameter).log_prob(x, mask)
        if config.objective == "elbo":
            kl = kl_of_levels(model.prior, drawn).mean(1)
            penalty = self._with_free_bits(kl) if config.free_bits else kl.sum(0)
            found = _closed_form(log_likelihood, kl.sum(0), penalty, self.beta)
            return replace(found, divergence=apart)
        if config.gradient == "dreg":  # its hook on z must meet all that depends on z
            log_likelihood = model.log_likelihood(x, drawn.z, mask)
        log_ratio = _log_ratio(model, q, drawn.z, drawn.log_q.sum(0), config)
        found = _sampled(drawn.z, log_likelihood, log_ratio, config, self.beta)
        return replace(found, divergence=apart)

    def _with_free_bits(self, kl_of_groups: Tensor) -> Tensor:
        """Compute the KL with free bits, from that of each group of latents (G, B).

        Kingma et al., *Improving Variational Inference with Inverse Autoregressive Flow* (2016),
        equation 15.
        """
        # Σ_g max(λ, E_b[KL_g])
        return self.mean(kl_of_groups.T).clamp(min=self.config.free_bits).sum()


def _log_ratio(model: VAE, q: Density, z: Tensor, log_q: Tensor, config: ObjectiveConfig) -> Tensor:
    """Compute log p(z) − log q(z | x) of draws z (K, B, D) in nats, (K, B)."""
    # The score of q has mean zero, or enters by the hook of `_sampled`, so q itself is detached.
    density = log_q if config.gradient == "plain" else q.detached().log_prob(z)
    return model.prior(z.shape[1]).log_prob(z) - density


def _require_kl_per_latent(prior: Prior, q: Density) -> None:
    """Check that the KL to the prior is the sum of those of the latents, which free bits count.

    Raises:
        UsageError: q is no diagonal Gaussian, or the prior is not N(0, I).
    """
    if not (isinstance(prior, StandardNormal) and isinstance(q, DiagonalGaussian)):
        raise UsageError(
            "free_bits cannot be used with this model",
            why=f"it takes the KL per latent of a DiagonalGaussian to N(0, I); found a "
            f"{type(q).__name__} and a {type(prior).__name__}",
            fix="leave free_bits at 0, or use the standard prior and the diagonal posterior",
        )


def _closed_form(
    log_likelihood: Tensor, kl: Tensor, penalty: Tensor, beta: float | Tensor
) -> Bound:
    """Compute the ELBO with the KL in closed form: Kingma & Welling (2013), equation 10.

    The penalty is the KL, or that with free bits.
    """
    # L(x) = 1/K Σ_k log p(x | z_k) − β KL(q(z | x) ‖ p(z)),  z_k = μ + σ ε_k
    reconstruction = log_likelihood.mean(0)
    return Bound(reconstruction - beta * penalty, reconstruction, kl)


def _sampled(
    z: Tensor,
    log_likelihood: Tensor,
    log_ratio: Tensor,
    config: ObjectiveConfig,
    beta: float | Tensor,
) -> Bound:
    """Compute the mean of M bounds of K weights each."""
    # log w = log p(x | z) + β [ log p(z) − log q(z | x) ]
    log_weights = (log_likelihood + beta * log_ratio).unflatten(0, (config.k, config.m))
    if config.gradient == "dreg" and z.requires_grad:
        share = _share_of_path(log_weights.detach(), config.order, beta)
        z.register_hook(lambda gradient: gradient * share.flatten(0, 1)[..., None])
    value = renyi(log_weights, config.order).mean(0)
    return Bound(value, log_likelihood.mean(0), -log_ratio.detach().mean(0))


def _share_of_path(log_weights: Tensor, alpha: float, beta: float | Tensor) -> Tensor:
    """Compute the factor of each path derivative that replaces the score of q, (K, M, B).

    Tucker et al., *Doubly Reparameterized Gradient Estimators* (2019), equation 8 for α = 0. With
    the normalised v_k ∝ w_k^(1 − α) the bound moves by v_k d log w_k, and the score by
    E[v_k ∇_φ log q(z_k)] = E[∂v_k/∂z_k ∂z_k/∂φ] = E[(1 − α) v_k (1 − v_k) ∂ log w_k/∂z_k ∂z_k/∂φ].
    """
    v = torch.softmax((1 - alpha) * log_weights, 0)
    # v_k − β (1 − α) v_k (1 − v_k); the gradient of the bound contains the factor v_k already
    return 1 - beta * (1 - alpha) * (1 - v)
