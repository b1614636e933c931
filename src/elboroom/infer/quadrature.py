"""Expectations under a density q by quadrature, exact for smooth integrands."""

import math

import torch
from torch import Tensor

from elboroom.errors import ElboroomError, UsageError
from elboroom.infer.target import Target
from elboroom.model import VAE
from elboroom.posteriors import Family

_SPACINGS = (1 / 2, 1 / 4, 1 / 8, 1 / 16)  # of nodes, in standard deviations of q
_RADIUS = 7.0  # standard deviations: all but 2e-11 of a Gaussian in the plane
_MASS_ERROR = 1e-4  # of the mass of q, which is 1
_ERROR = 1e-3  # nats: how far half the spacing may move an ELBO
_AT_A_TIME = 1 << 22  # nodes of all rows


class QuadratureError(ElboroomError):
    """A density that the finest nodes do not resolve."""


def exact_elbo(model: VAE, x: Tensor, mask: Tensor | None, q: Family) -> Tensor:
    """The ELBO of q without Monte-Carlo noise, in nats, (B,), float64.

    With the grid's log p(x_seen) it gives the exact KL(q ‖ p(z | x_seen)) = log p(x_seen) − ELBO.
    It takes some hundred decodings a row in the plane, and some ten thousand in space.

    Args:
        model: its decoder is used.
        x: (B, *event).
        mask: True where a pixel is seen, like `x` or broadcast to it; None for all.
        q: a density of each row that knows its `covariance` (B, D, D), such as a Gaussian.

    Raises:
        UsageError: q has no covariance, D > 3, the mask does not fit, or a seen value is not
            finite.
        QuadratureError: q is far from a Gaussian.
    """
    covariance = getattr(q, "covariance", None)
    if covariance is None:
        raise UsageError(
            f"the covariance of a {type(q).__name__} is not known",
            why="the nodes of the quadrature are laid out by it",
            fix="use the method kl of infer.grid's result, which estimates it from draws",
        )
    return elbo_in_frame(Target.of(model, x, mask), q, covariance)


@torch.no_grad()
def elbo_in_frame(target: Target, q: Family, covariance: Tensor) -> Tensor:
    """The ELBO of q, (B,), whose covariance (B, D, D) need only be about right.

    The nodes are a lattice in the frame in which q has unit covariance. For densities that are
    smooth at its spacing the error of the trapezoidal rule falls exponentially (Trefethen &
    Weideman, *The exponentially convergent trapezoidal rule*, 2014). For each row it is refined
    until q has a mass of 1 and the ELBO stands still.
    """
    if target.latents > 3:
        raise UsageError(
            f"a quadrature over {target.latents} latent dimensions is out of reach",
            why="its nodes grow as n^D",
            fix="estimate the ELBO from draws, with log_weights",
        )
    scale = torch.linalg.cholesky(covariance)
    elbo = torch.full((len(target),), math.nan, dtype=torch.float64, device=scale.device)
    for spacing in _SPACINGS:
        rows = elbo.isnan().nonzero()[:, 0]
        mass, value, error = _integrate(target.rows(rows), q, scale, rows, spacing)
        resolved = ((mass - 1).abs() <= _MASS_ERROR) & (error <= _ERROR)
        elbo[rows[resolved]] = value[resolved]
        if resolved.all():
            return elbo
        if spacing == _SPACINGS[-1]:
            raise _unresolved(int(rows[~resolved][0]), mass[~resolved][0], error[~resolved][0])
    return elbo


def _integrate(
    target: Target, q: Family, scale: Tensor, rows: Tensor, spacing: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The mass of q found in some rows, their ELBO, and its error, each (M,)."""
    sums = torch.zeros(2, 2, len(rows), dtype=torch.float64, device=rows.device)
    log_volume = scale.diagonal(dim1=-2, dim2=-1).log().sum(-1) + target.latents * math.log(spacing)
    nodes, sparse = _nodes(target.latents, spacing, scale)
    count = max(1, _AT_A_TIME // len(scale))
    for eps, every_second in zip(nodes.split(count), sparse.split(count), strict=True):
        # z = μ + A ε
        z = q.mean + torch.einsum("bij,kj->kbi", scale, eps)
        log_q = q.log_prob(z)[:, rows]
        mass = (log_q + log_volume[rows]).double().exp()
        # L = ∫ q log w dz ≈ Σ_g q(z_g) h^D |det A| log w(z_g)
        log_weights = target.log_joint(z[:, rows]) - log_q
        terms = torch.stack([mass, (mass * log_weights).masked_fill(mass == 0, 0.0)])
        sums += torch.stack([terms.sum(1), terms[:, every_second].sum(1)])
    (mass, total), (sparse_mass, sparse_total) = sums
    elbo = total / mass
    return mass, elbo, (elbo - sparse_total / sparse_mass).abs()


def _nodes(latents: int, spacing: float, like: Tensor) -> tuple[Tensor, Tensor]:
    """The lattice in a ball, (K, D), and which points are on that of twice the spacing, (K,)."""
    steps = int(_RADIUS / spacing)
    axis = torch.arange(-steps, steps + 1, device=like.device)
    lattice = torch.cartesian_prod(*[axis] * latents).view(-1, latents)
    lattice = lattice[(spacing * lattice).norm(dim=-1) <= _RADIUS]
    return (spacing * lattice).to(like), (lattice % 2 == 0).all(-1)


def _unresolved(row: int, mass: Tensor, error: Tensor) -> QuadratureError:
    return QuadratureError(
        "the quadrature does not resolve this density",
        why=f"on its finest nodes row {row} has {mass:.4g} of its mass, not 1, "
        f"and an ELBO that still moves by {error:.2g} nats",
        fix="estimate the ELBO from draws, with log_weights",
    )
