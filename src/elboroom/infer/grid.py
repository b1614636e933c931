"""The exact posterior of a one- or two-dimensional latent space, on a grid."""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from elboroom.device import keep_freed_memory
from elboroom.errors import UsageError
from elboroom.infer.exact_elbo import elbo_of
from elboroom.infer.lattice.cells import Cells
from elboroom.infer.lattice.refinement import GridError, refine
from elboroom.infer.target import Target
from elboroom.model.posteriors import Density
from elboroom.model.vae import VAE

__all__ = ["GridError", "GridPosterior", "grid"]


@dataclass(frozen=True)
class GridPosterior:
    """p(z | x_seen) on a grid of its own for each row, exact up to the trapezoidal rule's error.

    Attributes:
        target: log p(x_seen, z).
        cells: the points of each row that hold its mass, and log p(x_seen, z) there.
        generator: feeds `sample`, and `kl` of a density that does not know its covariance.
    """

    target: Target
    cells: Cells
    generator: torch.Generator = field(repr=False)

    @property
    def log_evidence(self) -> Tensor:
        """log p(x_seen) in nats, (B,), float64."""
        return self.cells.log_evidence

    @property
    def error(self) -> Tensor:
        """How far `log_evidence` moved when the grid was last refined, in nats, (B,)."""
        return self.cells.error

    @property
    def diagnostics(self) -> dict[str, Tensor]:
        """What the grid knows of its own quality."""
        return {"log_evidence_error": self.error}

    @property
    def log_density(self) -> Tensor:
        """log p(z | x_seen) in nats at the points of the cells, (N,), float64."""
        return self.cells.log_joint.double() - self.log_evidence[self.cells.row]

    @property
    def probabilities(self) -> Tensor:
        """The mass of each cell, (N,), float64; those of a row sum to one."""
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

    def sample(self, k: int) -> Tensor:
        """k draws, each uniform within a cell, (k, B, D)."""
        start, end = self.cells.offsets[:-1], self.cells.offsets[1:]
        mass = self.probabilities.cumsum(0)
        below = F.pad(mass, (1, 0))[start]
        level = below + self._uniforms(k, len(start)) * (mass[end - 1] - below)
        cell = torch.searchsorted(mass, level, right=True).clamp(start, end - 1)
        within = self._uniforms(k, len(start), self.target.latents) - 0.5
        # z = z_g + h (u − ½)
        z = self.cells.points[cell] + self.cells.spacing[:, None] * within
        return z.to(self.cells.points)

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z | x_seen) in nats, exact at any z: (..., B, D) → (..., B)."""
        with torch.no_grad():
            return (self.target.log_joint(z) - self.log_evidence).to(z)

    def kl(self, q: Density) -> Tensor:
        """KL(q ‖ p(z | x_seen)) in nats by quadrature, (B,).

        Raises:
            QuadratureError: q is far from a Gaussian.
        """
        # KL(q ‖ p) = log p(x_seen) − ELBO(q)
        return self.log_evidence - elbo_of(self.target, q, self.generator)

    def credible_area(self, mass: float) -> Tensor:
        """The size of the smallest region that holds `mass`, (B,): if D = 2, its area.

        Raises:
            UsageError: `mass` is not between 0 and 1.
        """
        return self._credible_cells(mass)[1] * self.cells.volume

    def credible_level(self, mass: float) -> Tensor:
        """log p(z | x_seen) in nats on the edge of that region, (B,).

        Raises:
            UsageError: `mass` is not between 0 and 1.
        """
        order, count = self._credible_cells(mass)
        log_density = self.log_density[order]
        total = F.pad(log_density.cumsum(0), (1, 0))
        start, end = self.cells.offsets[:-1], self.cells.offsets[1:]
        # the mean over as many cells as may lie symmetrically about a mode
        some = 2 ** (self.target.latents - 1)
        ends = [(start + count + side).clamp(start, end) for side in (-some, some)]
        low, high = (_between(total, position) for position in ends)
        return (high - low) / (ends[1] - ends[0])

    def _credible_cells(self, mass: float) -> tuple[Tensor, Tensor]:
        """The cells by row, densest first, (N,), and how many of each row hold `mass`, (B,)."""
        if not 0 < mass < 1:
            raise UsageError(
                f"a region that holds a mass of {mass:g} is not bounded",
                why="the whole latent space holds 1, the empty set 0",
                fix="give a mass between 0 and 1",
            )
        start, end = self.cells.offsets[:-1], self.cells.offsets[1:]
        order = self.log_density.argsort(descending=True)
        order = order[self.cells.row[order].argsort(stable=True)]
        probabilities = self.probabilities[order]
        held = probabilities.cumsum(0)
        wanted = F.pad(held, (1, 0))[start] + mass
        last = torch.searchsorted(held, wanted).clamp(start, end - 1)
        beyond = ((held[last] - wanted) / probabilities[last]).clamp(0, 1)
        return order, last + 1 - start - beyond

    def _uniforms(self, *shape: int) -> Tensor:
        device = self.cells.points.device
        return torch.rand(shape, generator=self.generator, dtype=torch.float64, device=device)


@torch.no_grad()
def grid(
    model: VAE,
    x: Tensor,
    mask: Tensor | None = None,
    *,
    generator: torch.Generator,
    tolerance: float = 1e-3,
) -> GridPosterior:
    """Integrate p(x_seen, z) over z on a grid that is refined until log p(x_seen) stands still.

    Every row has the extent and the spacing that it needs. Rows share the points of the grid, so
    that each is decoded once for all.

    Args:
        model: with D ≤ 2 latent dimensions.
        x: (B, *event).
        mask: True where a pixel is seen, like `x` or broadcast to it; None for all.
        generator: feeds the draws of the result; the integration itself is deterministic.
        tolerance: largest change of log p(x_seen), in nats, at which a row's refinement stops.

    Raises:
        UsageError: D > 2, the mask does not fit, or a seen value is not finite.
        GridError: a posterior reaches beyond the grid, or the finest one does not resolve it.
    """
    if model.latents > 2:
        raise UsageError(
            f"a grid over {model.latents} latent dimensions is out of reach",
            why="its points grow as n^D",
            fix="use infer.svi, or a model with one or two latents",
        )
    target = Target.of(model, x, mask)
    if x.device.type == "cpu":
        keep_freed_memory()
    return GridPosterior(target, refine(target, tolerance), generator)


def _between(values: Tensor, position: Tensor) -> Tensor:
    """`values` (N,) at positions between its indices, by lines."""
    below = position.long().clamp(max=len(values) - 2)
    return torch.lerp(values[below], values[below + 1], position - below)
