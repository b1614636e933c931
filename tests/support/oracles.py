"""Models whose exact answers are known, which the library is tested against."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from elboroom.model.likelihoods import Likelihood
from elboroom.model.priors import MixturePrior
from elboroom.model.vae import VAE


@dataclass(frozen=True)
class UnitNoise(Likelihood):
    """p(x | z) = N(mean, I), as a likelihood of the library's contract."""

    location: Tensor

    @property
    def mean(self) -> Tensor:
        return self.location

    def sample(self, generator: torch.Generator) -> Tensor:
        eps = torch.randn(self.mean.shape, generator=generator, dtype=self.mean.dtype)
        return self.mean + eps

    def log_prob(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = x if mask is None else x.masked_fill(~mask, 0.0)
        pixels = -0.5 * ((x - self.mean).square() + math.log(2 * math.pi))
        return (pixels if mask is None else pixels.masked_fill(~mask, 0.0)).sum(-1)

    def log_prob_table(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return UnitNoise(self.mean[:, None]).log_prob(x, mask)

    def score(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        residual = x - self.mean
        return residual if mask is None else residual.masked_fill(~mask, 0.0)

    def information(self, mask: Tensor | None = None) -> Tensor:
        ones = torch.ones_like(self.mean)
        return ones if mask is None else ones * mask


class Affine(nn.Module):
    """z → z Wᵀ + b."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, z: Tensor) -> Tensor:
        return z @ self.weight.T + self.bias


class Constant(nn.Module):
    """An encoder that returns the same for every row."""

    def __init__(self, mean: Tensor, log_std: Tensor) -> None:
        super().__init__()
        self.mean, self.log_std = nn.Parameter(mean), nn.Parameter(log_std)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.mean.expand(len(x), -1), self.log_std.expand(len(x), -1)


class LinearGaussian:
    """z ~ N(0, I), x | z ~ N(W z + b, I): evidence and posterior in closed form, float64."""

    def __init__(self, pixels: int, latents: int, seed: int, *, orthogonal: bool = False) -> None:
        generator = torch.Generator().manual_seed(seed)
        weight = torch.randn(pixels, latents, generator=generator, dtype=torch.float64)
        if orthogonal:
            weight = 1.5 * torch.linalg.qr(weight).Q
        self.weight = weight
        self.bias = torch.randn(pixels, generator=generator, dtype=torch.float64)
        mean, log_std = torch.randn(2, latents, generator=generator, dtype=torch.float64) * 0.3
        encoder = Constant(mean, log_std)
        self.model = VAE(encoder, Affine(self.weight, self.bias), latents, UnitNoise)
        self.latents = latents

    def data(self, rows: int, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        z = torch.randn(rows, self.latents, generator=generator, dtype=torch.float64)
        noise = torch.randn(rows, len(self.bias), generator=generator, dtype=torch.float64)
        return z @ self.weight.T + self.bias + noise

    def log_evidence(self, x: Tensor, mask: Tensor) -> Tensor:
        """Compute log p(x_seen) of each row, (B,)."""
        return torch.stack([self._log_evidence(*row) for row in zip(x, mask, strict=True)])

    def posterior(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return means (B, D) and precisions (B, D, D) of p(z | x_seen)."""
        weight = mask[:, :, None] * self.weight
        precision = torch.eye(self.latents, dtype=x.dtype) + weight.mT @ weight
        residual = (mask * (x - self.bias))[:, :, None]
        return torch.linalg.solve(precision, weight.mT @ residual)[..., 0], precision

    def elbo(self, x: Tensor, mask: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
        """Compute log p(x_seen) − KL(q ‖ p(z | x_seen)) of a diagonal q, (B,)."""
        true_mean, precision = self.posterior(x, mask)
        posterior = MultivariateNormal(true_mean, precision_matrix=precision)
        q = MultivariateNormal(mean, torch.diag_embed((2 * log_std).exp()))
        return self.log_evidence(x, mask) - torch.distributions.kl_divergence(q, posterior)

    def _log_evidence(self, x: Tensor, mask: Tensor) -> Tensor:
        weight = self.weight[mask]
        covariance = weight @ weight.T + torch.eye(len(weight), dtype=x.dtype)
        if not len(weight):
            return torch.zeros((), dtype=x.dtype)
        return MultivariateNormal(self.bias[mask], covariance).log_prob(x[mask])


class LinearMixture:
    """z ~ Σ_c π_c N(μ_c, diag σ_c²), x | z ~ N(W z + b, I): a posterior that is a mixture too."""

    def __init__(self, pixels: int, prior: MixturePrior, seed: int) -> None:
        latents = prior.means.shape[-1]
        linear = LinearGaussian(pixels, latents, seed)
        encoder, decoder = linear.model.encoder, linear.model.decoder
        self.weight, self.bias, self.prior = linear.weight, linear.bias, prior
        self.model = VAE(encoder, decoder, latents, UnitNoise, prior.requires_grad_(False))

    def data(self, rows: int, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return self.model.generate(rows, generator=generator)[1].detach()

    def posterior(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return log [π_c p(x_seen | c)] (B, C), and E and Cov[z | x_seen, c], (B, C, D, …)."""
        weight = (mask[:, :, None] * self.weight)[:, None]
        means, inverse = self.prior.means, (-2 * self.prior.log_stds).exp()
        precision = torch.diag_embed(inverse) + weight.mT @ weight
        residual = (mask * (x - self.bias))[:, None, :, None]
        slope = (weight.mT @ residual)[..., 0] + inverse * means
        mean = torch.linalg.solve(precision, slope[..., None])[..., 0]
        # log p(x_seen | c) = −½ [ |x|² + μᵀΛμ − mᵀPm + n log 2π − log det Λ + log det P ]
        square = residual.square().sum((2, 3)) + (inverse * means.square()).sum(-1)
        square = square - (mean * slope).sum(-1) + mask.sum(-1)[:, None] * math.log(2 * math.pi)
        log_det = precision.logdet() + 2 * self.prior.log_stds.sum(-1)
        log_mass = self.prior.logits.log_softmax(0) - 0.5 * (square + log_det)
        return log_mass, mean, torch.linalg.inv(precision)

    def log_evidence(self, x: Tensor, mask: Tensor) -> Tensor:
        """Compute log p(x_seen) of each row, (B,)."""
        return self.posterior(x, mask)[0].logsumexp(-1)

    def moments(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return E and Cov[z | x_seen], (B, D) and (B, D, D)."""
        log_mass, means, covariances = self.posterior(x, mask)
        share = log_mass.softmax(-1)
        mean = (share[..., None] * means).sum(1)
        apart = means - mean[:, None]
        parts = covariances + apart[..., :, None] * apart[..., None, :]
        return mean, (share[..., None, None] * parts).sum(1)


def random_masks(rows: int, pixels: int, seed: int) -> Tensor:
    """Draw a mask for each row; the first observes nothing, the last everything."""
    mask = torch.rand(rows, pixels, generator=torch.Generator().manual_seed(seed)) < 0.6
    mask[0], mask[-1] = False, True
    return mask


def assert_mean(draws: Tensor, expected: Tensor | float, *, errors: float = 4.5) -> None:
    """Check that the mean over the first axis is `expected` to within some standard errors."""
    error = draws.std(0) / math.sqrt(len(draws)) + 1e-12  # a constant may be off by rounding
    z = (draws.mean(0) - expected) / error
    assert z.abs().max() < errors, f"{z.abs().max():.1f} standard errors away"


def assert_rejected(check: Callable[[], None]) -> None:
    """Check that a statistical check fails on a planted bug."""
    try:
        check()
    except AssertionError:
        return
    raise AssertionError("the planted bug was not noticed")
