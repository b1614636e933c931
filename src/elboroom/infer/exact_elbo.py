"""Expectations under a density q by quadrature, exact for smooth integrands."""

import math

import torch
from torch import Tensor

from elboroom.errors import ElboroomError, UsageError
from elboroom.infer.observed import Array
from elboroom.infer.target import Target
from elboroom.model.arguments import checked
from elboroom.model.linear_algebra import product_grid, times_shared
from elboroom.model.posteriors import Density, Gaussian, GaussianMixture
from elboroom.model.vae import VAE

# The spacing and the radius of the nodes, in standard deviations of q. The first lattice misses
# less than 2e-11 of a Gaussian's mass.
_LATTICES = ((1 / 2, 7.0), (1 / 4, 7.0), (1 / 8, 7.0), (1 / 8, 14.0))
_MASS_ERROR = 1e-4  # largest error of the mass of q, which is 1
# Nats that halving the spacing may change an ELBO by; the remaining error is then a third of it.
_ERROR = 3e-3
_DRAWS = 1_000  # draws that estimate an unknown covariance
_AT_A_TIME = 1 << 22  # nodes of all rows together


class QuadratureError(ElboroomError):
    """A density that the finest nodes do not resolve."""


@checked
def exact_elbo(model: VAE, x: Array, mask: Array | None, q: Density) -> Tensor:
    """Compute the ELBO of q without Monte-Carlo noise, in nats, (B,), float64.

    With the grid's log p(x_seen) it gives the exact KL(q ‖ p(z | x_seen)) = log p(x_seen) − ELBO.
    It takes hundreds of decodings per row in two dimensions, and some ten thousand in three.

    Args:
        model: the model, whose decoder is used.
        x: (B, *event), numbers of any type.
        mask: True where a pixel is seen, like `x` or broadcast to it; None for all.
        q: a mixture of Gaussians, or a density whose `covariance` (B, D, D) is known.

    Raises:
        UsageError: if the covariance of q is unknown, D > 3, the mask does not fit, or a seen value
            is not finite.
        QuadratureError: if q is far from a Gaussian.

    Example:
        >>> elbo = infer.exact_elbo(model, x, mask, posterior.q)
        >>> exact = infer.grid(model, x, mask, generator=generator)
        >>> torch.allclose(exact.log_evidence - elbo, exact.kl(posterior.q))
        True
    """
    return elbo_of(Target.of(model, x, mask), q)


@torch.no_grad()
def elbo_of(target: Target, q: Density, generator: torch.Generator | None = None) -> Tensor:
    """Compute the ELBO of q in nats for the rows of a target, (B,).

    Args:
        target: log p(x_seen, z).
        q: the density; if its covariance is unknown, draws estimate it.
        generator: random generator of these draws.
    """
    if target.latents > 3:
        raise UsageError(
            f"a quadrature over {target.latents} latent dimensions is too large",
            why="its number of nodes grows as n^D; at most three dimensions are supported",
            fix="estimate the ELBO from draws, with log_weights",
        )
    if not isinstance(q, GaussianMixture):
        return _expect(target, q, q, _covariance(q, generator))
    # L = Σ_m π_m ∫ q_m log w dz
    components = zip(q.full.mean, q.full.scale, strict=True)
    parts = [Gaussian(mean, scale) for mean, scale in components]
    terms = torch.stack([_expect(target, q, part, part.covariance) for part in parts])
    return (q.log_mass.exp() * terms).sum(0)


def _covariance(q: Density, generator: torch.Generator | None) -> Tensor:
    """Return the covariance of q, or estimate it from draws, (B, D, D)."""
    covariance = q.covariance
    if covariance is not None:
        return covariance
    if generator is None:
        raise UsageError(
            f"the covariance of a {type(q).__name__} is not known",
            why="it determines the nodes of the quadrature",
            fix="use the method kl of infer.grid's result, which estimates it from draws",
        )
    centred = q.sample(_DRAWS, generator) - q.mean
    return torch.einsum("kbi,kbj->bij", centred, centred) / _DRAWS


def _expect(target: Target, q: Density, part: Density, covariance: Tensor) -> Tensor:
    """Compute E[log p(x_seen, z) − log q(z)] under a part of q, given about its covariance, (B,).

    The nodes are a lattice in coordinates in which the part has unit covariance. For densities that
    are smooth at its spacing the error of the trapezoidal rule falls exponentially (Trefethen &
    Weideman, *The exponentially convergent trapezoidal rule*, 2014). For each row the lattice is
    refined and widened until the part has a mass of 1 and the expectation is stable.
    """
    scale = torch.linalg.cholesky(covariance)
    values = torch.full((len(target),), math.nan, dtype=torch.float64, device=scale.device)
    for lattice in _LATTICES:
        rows = values.isnan().nonzero()[:, 0]
        mass, value, error = _integrate(target.rows(rows), q, part, scale, rows, *lattice)
        resolved = ((mass - 1).abs() <= _MASS_ERROR) & (error <= _ERROR)
        values[rows[resolved]] = value[resolved]
        if resolved.all():
            break
        if lattice == _LATTICES[-1]:
            raise _unresolved(int(rows[~resolved][0]), mass[~resolved][0], error[~resolved][0])
    return values


def _integrate(
    target: Target,
    q: Density,
    part: Density,
    scale: Tensor,
    rows: Tensor,
    spacing: float,
    radius: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Integrate over a part for some rows: return mass, expectation and its error, each (M,)."""
    sums = torch.zeros(2, 2, len(rows), dtype=torch.float64, device=rows.device)
    log_volume = scale.diagonal(dim1=-2, dim2=-1).log().sum(-1) + target.latents * math.log(spacing)
    nodes, sparse = _nodes(target.latents, spacing, radius, scale)
    count = max(1, _AT_A_TIME // len(scale))
    for eps, every_second in zip(nodes.split(count), sparse.split(count), strict=True):
        # z = μ + A ε
        z = part.mean + times_shared(scale, eps)
        mass = (part.log_prob(z) + log_volume)[:, rows].double().exp()
        # E[log w] = ∫ q_m log w dz ≈ Σ_g q_m(z_g) h^D |det A| log w(z_g)
        log_weights = target.log_joint(z[:, rows]) - q.log_prob(z)[:, rows]
        terms = torch.stack([mass, (mass * log_weights).masked_fill(mass == 0, 0.0)])
        sums += torch.stack([terms.sum(1), terms[:, every_second].sum(1)])
    (mass, total), (sparse_mass, sparse_total) = sums
    value = total / mass
    return mass, value, (value - sparse_total / sparse_mass).abs()


def _nodes(latents: int, spacing: float, radius: float, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return a lattice in a ball, (K, D), and a mask of its points at even indices, (K,).

    The latter form the lattice of twice the spacing.
    """
    steps = int(radius / spacing)
    axis = torch.arange(-steps, steps + 1, device=like.device)
    lattice = product_grid(axis, latents)
    lattice = lattice[(spacing * lattice).norm(dim=-1) <= radius]
    return (spacing * lattice).to(like), (lattice % 2 == 0).all(-1)


def _unresolved(row: int, mass: Tensor, error: Tensor) -> QuadratureError:
    return QuadratureError(
        "the quadrature does not resolve this density",
        why=f"on the finest nodes the mass of row {row} is {mass:.4g}, expected 1, and its "
        f"expectation still changes by {error:.2g} nats, expected {_ERROR:g} at most",
        fix="estimate the ELBO from draws, with log_weights",
    )
