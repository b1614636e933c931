"""A density whose rows belong to several densities."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.model.posteriors.density import Density, DiagonalGaussian


@dataclass(frozen=True, repr=False)
class RowsOfDensities(Density):
    """Some rows of one density, others of another.

    Attributes:
        parts: of each density, which of the B rows are its own, and the density of these rows.
    """

    parts: tuple[tuple[Tensor, Density], ...]

    @classmethod
    def of(cls, parts: Sequence[tuple[Tensor, Density]]) -> Density:
        """Join densities whose rows, together, are 0 … B − 1; one that has all rows stays itself.

        Args:
            parts: the rows of each density, in increasing order, and the density.
        """
        return parts[0][1] if len(parts) == 1 else cls(tuple(parts))

    @property
    def mean(self) -> Tensor:
        """E_q[z], (B, D)."""
        return self._joined([q.mean for _, q in self.parts], -2)

    @property
    def covariance(self) -> Tensor | None:
        """Cov_q[z], (B, D, D); None if a density does not know its own."""
        found = [q.covariance for _, q in self.parts]
        known = [one for one in found if one is not None]
        return self._joined(known, -3) if len(known) == len(found) else None

    @property
    def marginals(self) -> DiagonalGaussian | None:
        """q(z_d) of each latent alone; None if a density does not know its own."""
        return self._joined_gaussians([q.marginals for _, q in self.parts])

    @property
    def independent(self) -> DiagonalGaussian | None:
        """Gaussians of independent latents near each; None if a density has none."""
        return self._joined_gaussians([q.independent for _, q in self.parts])

    def sample(self, k: int, generator: torch.Generator) -> Tensor:
        """Draw k values of z for each row, (k, B, D)."""
        return self._joined([q.sample(k, generator) for _, q in self.parts], -2)

    def draw(self, k: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw k values of z for each row, (k, B, D), with their log q in nats, (k, B)."""
        found = [q.draw(k, generator) for _, q in self.parts]
        z, log_q = zip(*found, strict=True)
        return self._joined(z, -2), self._joined(log_q, -1)

    def at(self, eps: Tensor) -> Tensor:
        """Transform standard normal noise ε into z, (..., B, D) → (..., B, D).

        Raises:
            UsageError: a density is not reparameterised.
        """
        return self._joined([q.at(eps[..., rows, :]) for rows, q in self.parts], -2)

    def log_prob(self, z: Tensor) -> Tensor:
        """Compute log q(z) in nats, z (..., B, D) → (..., B)."""
        return self._joined([q.log_prob(z[..., rows, :]) for rows, q in self.parts], -1)

    def kl_to_standard(self) -> Tensor | None:
        """Compute KL(q ‖ N(0, I)) in nats, (B,); return None if a density has no closed form."""
        known = [kl for _, q in self.parts if (kl := q.kl_to_standard()) is not None]
        return self._joined(known, -1) if len(known) == len(self.parts) else None

    def widened(self, factor: float) -> "RowsOfDensities | None":
        """Multiply the standard deviations by `factor`; return None if a density cannot."""
        return self._mapped(lambda q: q.widened(factor))

    def detached(self) -> "RowsOfDensities":
        """Return the same density without gradients to its parameters.

        Raises:
            UsageError: a density does not implement this.
        """
        return RowsOfDensities(tuple((rows, q.detached()) for rows, q in self.parts))

    def _mapped(self, change: Callable[[Density], Density | None]) -> "RowsOfDensities | None":
        found = [(rows, one) for rows, q in self.parts if (one := change(q)) is not None]
        return RowsOfDensities(tuple(found)) if len(found) == len(self.parts) else None

    def _joined_gaussians(
        self, found: Sequence[DiagonalGaussian | None]
    ) -> DiagonalGaussian | None:
        known = [one for one in found if one is not None]
        if len(known) < len(found):
            return None
        location = self._joined([one.location for one in known], -2)
        return DiagonalGaussian(location, self._joined([one.log_std for one in known], -2))

    def _joined(self, values: Sequence[Tensor], dim: int) -> Tensor:
        """Put the values of each density at its rows, along the axis `dim`."""
        order = torch.cat([rows for rows, _ in self.parts]).argsort()
        types = {one.dtype for one in values}
        wide = max(types, key=lambda kind: kind.itemsize)
        return torch.cat([one.to(wide) for one in values], dim).index_select(dim, order)
