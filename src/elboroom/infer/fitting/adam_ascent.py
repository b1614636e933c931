"""Stochastic-gradient ascent of the ELBO, for families of q without a natural gradient."""

from abc import abstractmethod

import torch
from torch import Tensor
from torch.optim import Adam

from elboroom.infer.fitting.ascent import AscentMethod, Parameters
from elboroom.infer.fitting.expectation_nodes import ExpectationNodes, antithetic
from elboroom.infer.target import Target
from elboroom.model.linear_algebra import times_shared
from elboroom.model.posteriors import Density, Gaussian, GaussianMixture, LowRankGaussian

_CHECK_DRAWS = 64
_TIES = 1e-4  # added to the diagonal in steps, to separate equal eigenvalues
_LEAST_NOISE = 1e-6  # share of the variance: rounding may make the remainder negative
_LOG_NOTHING = -30.0  # the least log mass at which gradients still reach a component


class AdamAscent(AscentMethod):
    """Ascent by Adam; a family defines q and log w of its parameters.

    The mean gradient of log w is the ELBO's gradient; the path derivative is enough.

    Each round starts a new Adam optimiser, whose steps are scaled by the row's step size. Therefore
    parameters are in units of the Gaussian that the fit starts from.

    Args:
        noises: the dimension of the ε of one draw.
        k: samples per step.
        like: tensor whose type and device are used.
        generator: random generator of the ε.

    Attributes:
        free: how many parameters are fitted, counted from the first.
    """

    free: int
    size = 0.05
    shrink = 0.5
    steps = 25

    def __init__(self, noises: int, k: int, like: Tensor, generator: torch.Generator) -> None:
        self.check = antithetic(_CHECK_DRAWS, noises, like, generator)
        self._nodes = lambda: antithetic(k, noises, like, generator)

    @abstractmethod
    def q(self, parameters: Parameters) -> Density:
        """Return the density of these parameters."""

    def ascend_round(self, target: Target, parameters: Parameters, size: Tensor) -> Parameters:
        """Take one round of Adam steps."""
        free, fixed = parameters[: self.free], parameters[self.free :]
        moves = [torch.zeros_like(p, requires_grad=True) for p in free]
        sizes = [size.view(-1, *[1] * (p.ndim - 1)) for p in free]
        optimiser = Adam(moves, lr=1.0, betas=(0.9, 0.99))
        for _ in range(self.steps):
            with torch.enable_grad():
                moved = tuple(p + s * m for p, s, m in zip(free, sizes, moves, strict=True))
                nodes = self._nodes()
                elbo = nodes.mean(self.log_weights(target, (*moved, *fixed), nodes))
                gradients = torch.autograd.grad(-elbo.sum(), moves)
            for move, gradient in zip(moves, gradients, strict=True):
                move.grad = gradient
            optimiser.step()
        return (*(p + s * m.detach() for p, s, m in zip(free, sizes, moves, strict=True)), *fixed)


class LowRankAscent(AdamAscent):
    """The ascent of low-rank Gaussians.

    The parameters are shift, log stretch and factor, in units of the fixed mean and σ that follow.
    """

    free = 3

    def __init__(
        self, latents: int, rank: int, k: int, like: Tensor, generator: torch.Generator
    ) -> None:
        super().__init__(latents + rank, k, like, generator)
        self.latents, self.rank = latents, rank

    def start(self, q: Gaussian) -> Parameters:
        """Approximate q by its leading principal components (Tipping & Bishop, 1999)."""
        std = q.covariance.diagonal(dim1=-1, dim2=-2).sqrt()
        correlation = q.covariance / (std[..., :, None] * std[..., None, :])
        values, vectors = _principal_axes(correlation)
        rest = values[..., : self.latents - self.rank]
        noise = rest.mean(-1, keepdim=True) if rest.shape[-1] else values[..., :1]
        noise = noise.clamp(min=_LEAST_NOISE)
        leading = (values[..., -self.rank :] - noise).clamp(min=1e-4).sqrt()
        factor = vectors[..., -self.rank :] * leading[..., None, :]
        stretch = 0.5 * noise.log().expand_as(std)
        return torch.zeros_like(std), stretch.clone(), factor, q.mean, std

    def q(self, parameters: Parameters) -> LowRankGaussian:
        """Return the density of these parameters."""
        shift, stretch, factor, mean, std = parameters
        return LowRankGaussian(mean + std * shift, std.log() + stretch, std[..., None] * factor)

    def log_weights(
        self, target: Target, parameters: Parameters, nodes: ExpectationNodes
    ) -> Tensor:
        """Compute log w at the nodes: their first D entries are ε of σ ε, the others η of F η."""
        q = self.q(parameters)
        eps, eta = nodes.eps.split([self.latents, self.rank], -1)
        # z = μ + σ ε + F η
        z = q.mean + q.log_std.exp() * eps[:, None] + times_shared(q.factor, eta)
        return target.log_joint(z) - self.q(tuple(p.detach() for p in parameters)).log_prob(z)


class MixtureAscent(AdamAscent):
    """The ascent of mixtures of M Gaussians.

    The parameters are logits, shifts and growths, in units of the fixed means and scales that
    follow.
    """

    free = 3

    def start(self, q: GaussianMixture) -> Parameters:
        """Return the parameters of q.

        A component without mass starts next to the heaviest one, with a little mass.
        """
        logits, mean, scale = (
            p.transpose(0, 1).clone() for p in (q.log_mass, q.full.mean, q.full.scale)
        )
        empty = logits < _LOG_NOTHING
        rows = torch.arange(len(logits), device=logits.device)
        heaviest = logits.argmax(1)
        scale = torch.where(empty[..., None, None], scale[rows, heaviest][:, None], scale)
        nearby = mean[rows, heaviest][:, None] + self._offsets(scale)
        mean = torch.where(empty[..., None], nearby, mean)
        logits = logits.masked_fill(empty, -2.0)
        return logits, torch.zeros_like(mean), torch.zeros_like(scale), mean, scale

    def _offsets(self, scale: Tensor) -> Tensor:
        """Return one standard deviation along a different axis for each component, (B, M, D)."""
        axes = torch.arange(scale.shape[1], device=scale.device) % scale.shape[-1]
        return scale[:, torch.arange(len(axes), device=scale.device), :, axes].transpose(0, 1)

    def q(self, parameters: Parameters) -> GaussianMixture:
        """Return the density of these parameters."""
        logits, shift, growth, mean, scale = parameters
        moved = mean + (scale @ shift[..., None])[..., 0]
        grown = scale + scale @ growth
        return GaussianMixture(
            logits.transpose(0, 1), Gaussian(moved.transpose(0, 1), grown.transpose(0, 1))
        )

    def log_weights(
        self, target: Target, parameters: Parameters, nodes: ExpectationNodes
    ) -> Tensor:
        """Compute Σ_m π_m log w(z_mk), with z_mk from component m: the draws are stratified."""
        q = self.q(parameters)
        component = q.full
        z = component.mean + times_shared(component.scale, nodes.eps)
        fixed = self.q(tuple(p.detach() for p in parameters))
        k, m = z.shape[:2]
        flat = z.flatten(0, 1)
        log_weights = target.log_joint(flat) - fixed.log_prob(flat)
        return (q.log_mass.exp() * log_weights.unflatten(0, (k, m))).sum(1)


def _principal_axes(correlation: Tensor) -> tuple[Tensor, Tensor]:
    """Compute eigenvalues and eigenvectors (B, D, D); rounding affects neither order nor sign."""
    ties = torch.linspace(0, _TIES, correlation.shape[-1]).diag().to(correlation)
    values, vectors = torch.linalg.eigh(correlation + ties)
    largest = vectors.gather(-2, vectors.abs().argmax(-2, keepdim=True))
    return values, vectors * largest.sign()
