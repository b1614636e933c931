"""Stochastic variational inference of q(z | x_seen), with the decoder frozen."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Adam

from elboroom.device import autocast, keep_freed_memory, resolve_precision
from elboroom.infer.seen import as_rows, on_seen_pixels
from elboroom.model import VAE
from elboroom.posteriors import DiagonalGaussian

_PRIOR_DRAWS = 4_096
_START_STD = 0.15
_ELBO_REPEATS = 10


@dataclass(frozen=True)
class SVIPosterior:
    """A diagonal Gaussian fitted to each row's posterior.

    Attributes:
        q: the fit, (B, D).
        elbo: (B,), its ELBO in nats, from samples that the fit has not seen.
        elbo_standard_error: (B,), of that estimate.
        trace: (steps,), the mean of the ELBO over rows at each step, in nats.
        generator: feeds `sample`.
    """

    q: DiagonalGaussian
    elbo: Tensor
    elbo_standard_error: Tensor
    trace: Tensor
    generator: torch.Generator

    @property
    def mean(self) -> Tensor:
        """E_q[z], (B, D)."""
        return self.q.mean

    @property
    def diagnostics(self) -> dict[str, Tensor]:
        """What the fit knows of its own quality."""
        return {"elbo_standard_error": self.elbo_standard_error, "trace": self.trace}

    def sample(self, k: int) -> Tensor:
        """k draws, (k, B, D)."""
        return self.q.sample(k, self.generator)

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z) in nats: (..., B, D) → (..., B)."""
        return self.q.log_prob(z)


@torch.enable_grad()
def svi(
    model: VAE,
    x: Tensor,
    mask: Tensor | None = None,
    *,
    generator: torch.Generator,
    k: int = 100,
    steps: int = 50,
    learning_rate: float = 0.1,
) -> SVIPosterior:
    """Fit a diagonal Gaussian to p(z | x_seen) of every row at once, by Adam on a k-sample ELBO.

    Posteriors of partly seen images have several modes. The fit keeps to one, so each row starts
    from the best of a few thousand prior draws.

    Args:
        model: its decoder stays as it is.
        x: (B, *event).
        mask: True where a pixel is seen, like `x` or broadcast to it; None for all.
        generator: feeds the start, the fit, and the draws of the result.
        k: samples of z an image and step.
        steps: of Adam, with a step size that falls to zero as a cosine.
        learning_rate: the first step size.

    Raises:
        UsageError: the mask does not fit, or a seen value is not finite.
    """
    x, mask = as_rows(x, mask)
    model, x, mask = on_seen_pixels(model, x, mask)
    mean = best_start(model, x, mask, generator).requires_grad_()
    log_std = torch.full_like(mean, math.log(_START_STD), requires_grad=True)
    optimiser = Adam([mean, log_std], learning_rate, betas=(0.9, 0.99))
    dtype = resolve_precision("auto", x.device)
    keep_freed_memory()
    trace = []
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = learning_rate * math.cos(math.pi / 2 * step / steps) ** 2
        q = DiagonalGaussian(mean, log_std)
        with autocast(dtype, x.device):
            log_likelihood = model.decode(q.sample(k, generator)).log_prob(x, mask)
        # L = 1/K Σ_k log p(x_seen | z_k) − KL(q ‖ p),  z_k = μ + σ ε_k
        elbo = log_likelihood.mean(0) - q.kl_to_prior()
        mean.grad, log_std.grad = torch.autograd.grad(-elbo.sum(), (mean, log_std))
        optimiser.step()
        trace.append(elbo.detach().mean())
    q = DiagonalGaussian(mean.detach(), log_std.detach())
    elbo, error = estimate_elbo(model, x, mask, q, k, generator)
    return SVIPosterior(q, elbo, error, torch.stack(trace), generator)


@torch.no_grad()
def best_start(model: VAE, x: Tensor, mask: Tensor | None, generator: torch.Generator) -> Tensor:
    """The prior draw with the largest log p(x_seen, z) for each row, (B, D).

    One matrix product scores all draws against all rows.
    """
    z = model.prior(1).sample(_PRIOR_DRAWS, generator)[:, 0]
    likelihood = model.decode(z).log_prob_table(x, mask)
    log_joint = likelihood + model.prior(1).log_prob(z[:, None])
    return z[log_joint.argmax(0)]


@torch.no_grad()
def estimate_elbo(
    model: VAE,
    x: Tensor,
    mask: Tensor | None,
    q: DiagonalGaussian,
    k: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """The ELBO of q from fresh samples, and its standard error, in nats, each (B,)."""
    repeats = [model.decode(q.sample(k, generator)).log_prob(x, mask) for _ in range(_ELBO_REPEATS)]
    log_likelihood = torch.cat(repeats)
    error = log_likelihood.std(0) / math.sqrt(len(log_likelihood))
    return log_likelihood.mean(0) - q.kl_to_prior(), error
