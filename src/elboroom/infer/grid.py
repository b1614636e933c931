"""The exact posterior of a one- or two-dimensional latent space, on a grid."""

from dataclasses import dataclass, field
from functools import cached_property, partial

import torch
from torch import Tensor

from elboroom.device import keep_freed_memory
from elboroom.errors import UsageError, require_positive
from elboroom.infer.exact_elbo import elbo_of
from elboroom.infer.lattice.cells import Cells
from elboroom.infer.lattice.decoded_tiles import Decode, DecodedTiles
from elboroom.infer.lattice.interpolation import Interpolation
from elboroom.infer.lattice.kept_tiles import KeptTiles
from elboroom.infer.lattice.refinement import GridError, refine
from elboroom.infer.observed import Array
from elboroom.infer.posterior import Posterior
from elboroom.infer.target import Target
from elboroom.model.arguments import checked
from elboroom.model.posteriors import Density
from elboroom.model.vae import VAE
from elboroom.randomness import fork

__all__ = ["MOST_LATENTS", "GridError", "GridPosterior", "KeptTiles", "grid"]

MOST_LATENTS = 2
"""The largest number of latents of a grid."""


@dataclass(frozen=True, repr=False)
class GridPosterior(Posterior):
    """p(z | x_seen) on a separate grid for each row, exact up to the trapezoidal rule's error.

    Attributes:
        target: log p(x_seen, z).
        cells: the points of each row that hold its mass, and log p(x_seen, z) there.
        generator: random generator of `sample`, and of `kl` for a density of unknown covariance.

    Example:
        >>> exact = infer.grid(model, x, mask, generator=generator)
        >>> exact.mean.shape, exact.covariance.shape, exact.sample(10).shape
        (torch.Size([3, 2]), torch.Size([3, 2, 2]), torch.Size([10, 3, 2]))
        >>> exact.error < 0.001  # of log p(x_seen), in nats
        tensor([True, True, True])
        >>> exact.kl(posterior.q) < 0.5  # KL(q ‖ p(z | x_seen)) of a fit, in nats
        tensor([True, True, True])
    """

    cells: Cells
    generator: torch.Generator = field(repr=False)

    @property
    def log_evidence(self) -> Tensor:
        """log p(x_seen) in nats, (B,), float64."""
        return self.cells.log_evidence

    @property
    def is_exact(self) -> bool:
        """True: quadrature has no Monte-Carlo error."""
        return True

    @property
    def error(self) -> Tensor:
        """The last change of `log_evidence` by a refinement, in nats, (B,)."""
        return self.cells.error

    @property
    def diagnostics(self) -> dict[str, Tensor]:
        """The last change of log p(x_seen) by a refinement, as its error."""
        return {"log_evidence_error": self.error}

    @property
    def log_density(self) -> Tensor:
        """log p(z | x_seen) in nats at the points of the cells, (N,), float64."""
        return self.cells.log_joint.double() - self.log_evidence[self.cells.row]

    @cached_property
    def probabilities(self) -> Tensor:
        """The probability mass of each cell, (N,), float64; a row's cells sum to one."""
        density = self.log_density.exp()
        return density / self.cells.sum(density)[self.cells.row]

    @property
    def mean(self) -> Tensor:
        """E[z | x_seen], (B, D)."""
        mass = self.probabilities
        means = [self.cells.sum(mass * along) for along in self.cells.points.unbind(-1)]
        return torch.stack(means, -1).to(self.cells.points)

    @property
    def covariance(self) -> Tensor:
        """Cov[z | x_seen], (B, D, D)."""
        mass, row = self.probabilities, self.cells.row
        centred = [z - mu[row] for z, mu in zip(self.cells.points.T, self.mean.T, strict=True)]
        entries = [self.cells.sum(mass * a * b) for a in centred for b in centred]
        return torch.stack(entries, -1).unflatten(-1, (len(centred),) * 2).to(self.cells.points)

    @checked
    def sample(self, k: int) -> Tensor:
        """Draw k times from the density interpolated between the points, (k, B, D)."""
        require_positive(k=k)
        self.target.require_room(k, k=k)
        z = self._interpolation.sample(k, self.probabilities, fork(self.generator))
        return z.to(self.cells.points)

    def log_prob(self, z: Tensor) -> Tensor:
        """Compute log p(z | x_seen) in nats, exact at any z: (..., B, D) → (..., B).

        Raises:
            UsageError: if the model has been trained further.
        """
        self.target.source.require_unchanged()
        with torch.no_grad():
            return (self.target.log_joint(z) - self.log_evidence).to(z)

    def refined(self, parts: int) -> tuple[Tensor, Tensor]:
        """Return parts^D points in each cell with log p(z | x_seen) in nats, decoding nothing.

        The density between the points of the grid is that of `sample`.

        Args:
            parts: the parts that each side of a cell is divided into, at whose centres points lie.

        Returns:
            Points (N, parts^D, D) of the N cells, and the log-density there, (N, parts^D), float64.
        """
        require_positive(parts=parts)
        points, log_joint = self._interpolation.refined(parts)
        return points, log_joint - self.log_evidence[self.cells.row, None]

    def kl(self, q: Density) -> Tensor:
        """Compute KL(q ‖ p(z | x_seen)) in nats by quadrature, (B,).

        Raises:
            QuadratureError: if q is far from a Gaussian.
            UsageError: if the model has been trained further.
        """
        self.target.source.require_unchanged()
        # KL(q ‖ p) = log p(x_seen) − ELBO(q)
        return self.log_evidence - elbo_of(self.target, q, self.generator)

    @cached_property
    def _interpolation(self) -> Interpolation:
        return Interpolation.of(self.cells)


@checked
@torch.no_grad()
def grid(
    model: VAE,
    x: Array,
    mask: Array | None = None,
    *,
    generator: torch.Generator,
    tolerance: float = 1e-3,
    kept: KeptTiles | None = None,
) -> GridPosterior:
    """Integrate p(x_seen, z) over z on a grid that is refined until log p(x_seen) is stable.

    Each row has the extent and the spacing that it needs. Rows share the points of the grid, so
    each point is decoded once for all of them.

    Args:
        model: a model with D ≤ 2 latent dimensions.
        x: (B, *event), numbers of any type.
        mask: True where a pixel is seen, like `x` or broadcast to it; None for all.
        generator: random generator of the result's draws; the integration is deterministic.
        tolerance: largest change of log p(x_seen), in nats, at which a row's refinement stops.
        kept: what `model` has decoded in earlier calls, so that it is not decoded again.

    Raises:
        UsageError: if D > 2, data or mask do not fit the model, or `kept` is of another model.
        GridError: if a posterior reaches beyond the grid, or the finest grid does not resolve it.

    Example:
        >>> exact = infer.grid(model, x, mask, generator=generator)
        >>> exact.log_evidence.shape, exact.mean.shape
        (torch.Size([3]), torch.Size([3, 2]))
        >>> exact.log_evidence > posterior.elbo - 4 * posterior.elbo_standard_error
        tensor([True, True, True])
    """
    if model.latents > MOST_LATENTS:
        raise UsageError(
            f"a grid over {model.latents} latent dimensions is too large",
            why="its number of points grows as n^D; at most two dimensions are supported",
            fix="use infer.svi, or a model with one or two latents",
        )
    target = Target.of(model, x, mask, restrict=kept is None)
    if target.x.device.type == "cpu":
        keep_freed_memory()
    if kept is None:
        decode: Decode = partial(DecodedTiles.together, target.model)
    else:
        kept.require_of(target.source)
        decode = kept.decode
    return GridPosterior(target, refine(target, tolerance, decode), generator)
