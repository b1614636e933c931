"""Gaussians that differ from a multiple of N(0, I) in a subspace only: O(D R) for D latents.

Where data inform few directions of many latents, p(z | x) is close to the prior in all others. Cui
et al., *Likelihood-informed dimension reduction for nonlinear inverse problems* (2014).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.model.linear_algebra import times
from elboroom.model.normal import log_standard_normal
from elboroom.model.posteriors.density import AffineGaussian, DiagonalGaussian


@dataclass(frozen=True, repr=False)
class SubspaceGaussian(AffineGaussian):
    """N(μ, A Aᵀ) with A = ρ (I − V Vᵀ) + V S Vᵀ for each row.

    With ρ = 1 the covariance is I + V (S Sᵀ − I) Vᵀ. A column of V may be zero, so that rows with
    fewer directions stand beside others; that row and column of S then hold ρ on the diagonal.

    Attributes:
        location: μ, (B, D).
        directions: V, (B, D, R), orthonormal columns.
        root: S, (B, R, R), a root of the covariance within the subspace.
        rest: ρ, (B,), the standard deviation outside it.
    """

    directions: Tensor
    root: Tensor
    rest: Tensor

    @classmethod
    def of_precision(cls, mean: Tensor, directions: Tensor, excess: Tensor) -> "SubspaceGaussian":
        """Return N(μ, P⁻¹) with the precision P = I + V diag(λ) Vᵀ; λ > −1 is `excess`, (B, R)."""
        # P⁻¹ = I − V diag(λ/(1 + λ)) Vᵀ, whose root within the subspace is (1 + λ)^−½
        root = torch.diag_embed((1 + excess).rsqrt())
        return cls(mean, directions, root, torch.ones_like(mean[..., 0]))

    def along(self, z: Tensor) -> Tensor:
        """Compute the coordinates Vᵀ z, (..., B, D) → (..., B, R)."""
        return times(self.directions.mT, z)

    def spread(self, eps: Tensor) -> Tensor:
        """Compute A ε, (..., B, D) → (..., B, D)."""
        return self._transformed(eps, self.root, self.rest)

    def pulled(self, gradient: Tensor) -> Tensor:
        """Compute Aᵀ g, the gradient by ε from that by z, (..., B, D) → (..., B, D)."""
        return self._transformed(gradient, self.root.mT, self.rest)

    def standardised(self, z: Tensor) -> Tensor:
        """Compute ε = A⁻¹ (z − μ), (..., B, D) → (..., B, D)."""
        # A⁻¹ = (I − V Vᵀ)/ρ + V S⁻¹ Vᵀ
        return self._transformed(z - self.location, torch.linalg.inv(self.root), 1 / self.rest)

    @property
    def log_det(self) -> Tensor:
        """log |det A| = (D − R) log ρ + log |det S|, (B,)."""
        outside = self.directions.shape[-2] - self.directions.shape[-1]
        return outside * self.rest.log() + torch.linalg.slogdet(self.root).logabsdet

    @property
    def covariance(self) -> Tensor:
        """Σ = ρ² I + V (S Sᵀ − ρ² I) Vᵀ, (B, D, D)."""
        identity = torch.eye(self.location.shape[-1]).to(self.location)
        within = self.directions @ self.excess @ self.directions.mT
        return self.rest[..., None, None].square() * identity + within

    @property
    def excess(self) -> Tensor:
        """S Sᵀ − ρ² I, (B, R, R), what the covariance within the subspace has beside ρ²."""
        identity = torch.eye(self.root.shape[-1]).to(self.root)
        return self.root @ self.root.mT - self.rest[..., None, None].square() * identity

    @property
    def marginals(self) -> DiagonalGaussian:
        """q(z_d) of each latent alone."""
        # Σ_dd = ρ² + v_d (S Sᵀ − ρ² I) v_dᵀ, with v_d a row of V
        within = ((self.directions @ self.excess) * self.directions).sum(-1)
        return DiagonalGaussian(self.location, 0.5 * (self.rest[..., None].square() + within).log())

    @property
    def precisions(self) -> Tensor:
        """The diagonal of Σ⁻¹, (B, D)."""
        # Σ⁻¹ = I/ρ² + V ((S Sᵀ)⁻¹ − I/ρ²) Vᵀ
        inverse, outside = torch.linalg.inv(self.root), self.rest[..., None].square().reciprocal()
        within = (self.directions @ inverse.mT).square().sum(-1)
        return outside + within - outside * self.directions.square().sum(-1)

    def log_prob(self, z: Tensor) -> Tensor:
        """Compute log q(z) in nats, z (..., B, D) → (..., B)."""
        # log q(z) = log N(ε; 0, I) − log |det A|
        return log_standard_normal(self.standardised(z)) - self.log_det

    def kl_to_standard(self) -> Tensor:
        """Compute KL(q ‖ N(0, I)) in nats, (B,)."""
        latents, rank = self.directions.shape[-2:]
        # KL = ½ [ |μ|² + (D − R) ρ² + tr S Sᵀ − D ] − log |det A|
        trace = (latents - rank) * self.rest.square() + self.root.square().sum((-1, -2))
        return 0.5 * (self.location.square().sum(-1) + trace - latents) - self.log_det

    def widened(self, factor: float) -> "SubspaceGaussian":
        """Multiply the standard deviations within the subspace by `factor`.

        Beside it q is the prior, where the data inform few directions, and right as it is.
        """
        real = self.directions.square().sum(-2) > 0.5  # a zero column is no direction
        wide = torch.where(real[..., None], factor * self.root, self.root)
        return SubspaceGaussian(self.location, self.directions, wide, self.rest)

    @property
    def widened_directions(self) -> int:
        """R, the number of directions of the subspace."""
        return self.directions.shape[-1]

    def detached(self) -> "SubspaceGaussian":
        """Return the same density without gradients to its parameters."""
        return SubspaceGaussian(*(one.detach() for one in self.parameters))

    def _transformed(self, vectors: Tensor, within: Tensor, outside: Tensor) -> Tensor:
        """Multiply by `within` (B, R, R) in the subspace, and by `outside` (B,) beside it."""
        inside = self.along(vectors)
        changed = times(within, inside) - outside[..., None] * inside
        return outside[..., None] * vectors + times(self.directions, changed)


def matched_to_mixture(log_mass: Tensor, parts: SubspaceGaussian) -> SubspaceGaussian:
    """Return the Gaussian with the mean and the covariance of a mixture of M, (M, B, …).

    Its subspace holds those of all components, and the differences of their means.
    """
    mass = log_mass.exp()
    mean = (mass[..., None] * parts.mean).sum(0)
    rest = (mass * parts.rest.square()).sum(0)
    columns, signs = _factors(mass, parts, mean)
    # Σ − ρ² I = F diag(±1) Fᵀ, and F = Q R
    basis, upper = torch.linalg.qr(columns)
    values, vectors = torch.linalg.eigh((upper * signs[..., None, :]) @ upper.mT)
    order = values.abs().argsort(-1, descending=True)
    kept = int((values.abs() > 1e-6 * rest[..., None]).sum(-1).amax())
    order = order[..., : max(1, kept)]
    vectors = vectors.gather(-1, order[..., None, :].expand(*vectors.shape[:-1], -1))
    variance = rest[..., None] + values.gather(-1, order)
    root = torch.diag_embed(variance.clamp(min=torch.finfo(mean.dtype).eps).sqrt())
    return SubspaceGaussian(mean, basis @ vectors, root, rest.sqrt())


def _factors(mass: Tensor, parts: SubspaceGaussian, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Return F (B, D, M (R + 1)) and the signs of its columns, (B, M (R + 1))."""
    values, vectors = torch.linalg.eigh(parts.excess)
    size = (mass[..., None] * values.abs()).sqrt()
    own = parts.directions @ (vectors * size[..., None, :])
    apart = (mass.sqrt()[..., None] * (parts.mean - mean))[..., None]
    signs = torch.cat([values.sign(), torch.ones_like(values[..., :1])], -1)
    columns = torch.cat([own, apart], -1)
    return torch.cat(columns.unbind(0), -1), torch.cat(signs.unbind(0), -1)
