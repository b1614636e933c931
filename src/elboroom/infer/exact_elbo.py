"""Expectations under a density q by quadrature, exact for smooth integrands."""

import math

import torch
from torch import Tensor

from elboroom.errors import ElboroomError, UsageError
from elboroom.infer.target import Target
from elboroom.model.posteriors import Density, Gaussian, GaussianMixture
from elboroom.model.vae import VAE

# Of the nodes, in standard deviations of q: their spacing, and how far out they lie. A Gaussian has
# all but 2e-11 of its mass on the first.
_LATTICES = ((1 / 2, 7.0), (1 / 4, 7.0), (1 / 8, 7.0), (1 / 8, 14.0))
_MASS_ERROR = 1e-4  # of the mass of q, which is 1
_ERROR = 3e-3  # nats: how far half the spacing may move an ELBO, whose error is then a third of it
_DRAWS = 1_000  # that tell where a density lies whose covariance is not known
_AT_A_TIME = 1 << 22  # nodes of all rows


class QuadratureError(ElboroomError):
    """A density that the finest nodes do not resolve."""


def exact_elbo(model: VAE, x: Tensor, mask: Tensor | None, q: Density) -> Tensor:
    """The ELBO of q without Monte-Carlo noise, in nats, (B,), float64.

    With the grid's log p(x_seen) it gives the exact KL(q ‖ p(z | x_seen)) = log p(x_seen) − ELBO.
    It takes some hundred decodings a row in the plane, and some ten thousand in space.

    Args:
        model: its decoder is used.
        x: (B, *event).
        mask: True where a pixel is seen, like `x` or broadcast to it; None for all.
        q: a mixture of Gaussians, or a density that knows its `covariance` (B, D, D).

    Raises:
        UsageError: q does not know its covariance, D > 3, the mask does not fit, or a seen value
            is not finite.
        QuadratureError: q is far from a Gaussian.
    """
    return elbo_of(Target.of(model, x, mask), q)


@torch.no_grad()
def elbo_of(target: Target, q: Density, generator: torch.Generator | None = None) -> Tensor:
    """The ELBO of q for rows whose target is known, (B,).

    Args:
        target: log p(x_seen, z).
        q: if it does not know its covariance, this is estimated from draws.
        generator: feeds these.
    """
    if target.latents > 3:
        raise UsageError(
            f"a quadrature over {target.latents} latent dimensions is out of reach",
            why="its nodes grow as n^D",
            fix="estimate the ELBO from draws, with log_weights",
        )
    if not isinstance(q, GaussianMixture):
        return _expect(target, q, q, _covariance(q, generator))
    # L = Σ_m π_m ∫ q_m log w dz
    components = zip(q.components.mean, q.components.scale, strict=True)
    parts = [Gaussian(mean, scale) for mean, scale in components]
    terms = torch.stack([_expect(target, q, part, part.covariance) for part in parts])
    return (q.log_mass.exp() * terms).sum(0)


def _covariance(q: Density, generator: torch.Generator | None) -> Tensor:
    """That of q, (B, D, D), or about it."""
    covariance = q.covariance
    if covariance is not None:
        return covariance
    if generator is None:
        raise UsageError(
            f"the covariance of a {type(q).__name__} is not known",
            why="the nodes of the quadrature are laid out by it",
            fix="use the method kl of infer.grid's result, which estimates it from draws",
        )
    centred = q.sample(_DRAWS, generator) - q.mean
    return torch.einsum("kbi,kbj->bij", centred, centred) / _DRAWS


def _expect(target: Target, q: Density, part: Density, covariance: Tensor) -> Tensor:
    """E[log p(x_seen, z) − log q(z)] under a part of q, whose covariance is about right, (B,).

    The nodes are a lattice in the frame in which the part has unit covariance. For densities that
    are smooth at its spacing the error of the trapezoidal rule falls exponentially (Trefethen &
    Weideman, *The exponentially convergent trapezoidal rule*, 2014). For each row it is refined
    and widened until the part has a mass of 1 and the expectation stands still.
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
    """The mass of a part that is found in some rows, its expectation, and its error, each (M,)."""
    sums = torch.zeros(2, 2, len(rows), dtype=torch.float64, device=rows.device)
    log_volume = scale.diagonal(dim1=-2, dim2=-1).log().sum(-1) + target.latents * math.log(spacing)
    nodes, sparse = _nodes(target.latents, spacing, radius, scale)
    count = max(1, _AT_A_TIME // len(scale))
    for eps, every_second in zip(nodes.split(count), sparse.split(count), strict=True):
        # z = μ + A ε
        z = part.mean + torch.einsum("bij,kj->kbi", scale, eps)
        mass = (part.log_prob(z) + log_volume)[:, rows].double().exp()
        # E[log w] = ∫ q_m log w dz ≈ Σ_g q_m(z_g) h^D |det A| log w(z_g)
        log_weights = target.log_joint(z[:, rows]) - q.log_prob(z)[:, rows]
        terms = torch.stack([mass, (mass * log_weights).masked_fill(mass == 0, 0.0)])
        sums += torch.stack([terms.sum(1), terms[:, every_second].sum(1)])
    (mass, total), (sparse_mass, sparse_total) = sums
    value = total / mass
    return mass, value, (value - sparse_total / sparse_mass).abs()


def _nodes(latents: int, spacing: float, radius: float, like: Tensor) -> tuple[Tensor, Tensor]:
    """The lattice in a ball, (K, D), and which points are on that of twice the spacing, (K,)."""
    steps = int(radius / spacing)
    axis = torch.arange(-steps, steps + 1, device=like.device)
    lattice = torch.cartesian_prod(*[axis] * latents).view(-1, latents)
    lattice = lattice[(spacing * lattice).norm(dim=-1) <= radius]
    return (spacing * lattice).to(like), (lattice % 2 == 0).all(-1)


def _unresolved(row: int, mass: Tensor, error: Tensor) -> QuadratureError:
    return QuadratureError(
        "the quadrature does not resolve this density",
        why=f"on its finest nodes row {row} has {mass:.4g} of its mass, not 1, "
        f"and an expectation that still moves by {error:.2g} nats",
        fix="estimate the ELBO from draws, with log_weights",
    )
