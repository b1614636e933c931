"""The Gauss–Newton curvature of log p(x_seen | z), by its products alone.

Jᵀ W J has D² entries, but a product with it takes one derivative forwards through the decoder and
one backwards: Martens, *Deep learning via Hessian-free optimization* (2010).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from elboroom.device import autocast
from elboroom.infer.target import Target
from elboroom.model.decoding import decoded_at_a_time
from elboroom.model.linear_algebra import times


@dataclass(frozen=True)
class Curvature:
    """H = Jᵀ W J of each row, averaged over S points, with the J and the W of `Target.curvature`.

    Attributes:
        target: log p(x_seen, z).
        z: the points, (S, B, D).
    """

    target: Target
    z: Tensor

    @property
    def most(self) -> int:
        """The largest rank that H of a row can have: D, or S times the decoder's outputs."""
        outputs = self.target.model.decoder_output(self.z[0, :1]).numel()
        return min(self.z.shape[-1], len(self.z) * outputs)

    @cached_property
    def of_prior(self) -> Tensor:
        """The prior's precision less I: X of the first T latents, (B, T, T).

        T is 0 for N(0, I). X is averaged over the points, and I + X is positive definite.
        """
        prior, count = self.target.model.prior, self.shaped
        if not count:
            return self.z.new_zeros(self.z.shape[1], 0, 0)
        found = torch.stack([prior.shaped_precision(points) for points in self.z]).mean(0)
        return found - torch.eye(count, dtype=found.dtype, device=found.device)

    @property
    def shaped(self) -> int:
        """T, the number of the first latents whose prior is not N(0, I)."""
        return self.z.shape[-1] - self.target.model.prior.standard_latents

    def times_with_prior(self, vectors: Tensor) -> Tensor:
        """Compute (H + X) v of R vectors of each row, (R, B, D) → (R, B, D)."""
        found = self.times(vectors)
        if self.shaped:
            found[..., : self.shaped] += times(self.of_prior, vectors[..., : self.shaped])
        return found

    def rows(self, index: Tensor) -> "Curvature":
        """Return the curvature of some rows."""
        return Curvature(self.target.rows(index), self.z[:, index])

    @torch.no_grad()
    def times(self, vectors: Tensor) -> Tensor:
        """Compute H v of R vectors of each row, (R, B, D) → (R, B, D)."""
        parts = [self.rows(rows)._times(vectors[:, rows]) for rows in self._chunks()]
        return torch.cat(parts, 1)

    def _chunks(self) -> Iterator[Tensor]:
        rows = torch.arange(len(self.target), device=self.z.device)
        yield from rows.split(max(1, self._at_a_time // len(self.z)))

    @property
    def _at_a_time(self) -> int:
        return decoded_at_a_time(self.target.model, self.target.x)

    def _times(self, vectors: Tensor) -> Tensor:
        points, rows = self.z.shape[:2]
        together = max(1, self._at_a_time // (points * rows))
        many = self.target.rows(torch.arange(rows, device=vectors.device).repeat(points))
        found = [self._product(many, some) for some in vectors.split(together)]
        return torch.cat(found)

    def _product(self, many: Target, vectors: Tensor) -> Tensor:
        points, model, z = len(self.z), many.model, self.z.flatten(0, 1)
        each = vectors[:, None].expand(-1, points, -1, -1).flatten(1, 2)
        with autocast(many.products, z.device):
            parameter, moved = model.decoder_pushed(z, each)
        # Jᵀ (W (J v))
        pulled = model.likelihood(parameter).weighted(moved, many.mask)
        with torch.enable_grad(), autocast(many.products, z.device):
            start = z.expand(len(each), -1, -1).detach().requires_grad_()
            output = model.decoder_output(start)
        found = torch.autograd.grad(output, start, pulled.to(output))[0]
        return found.unflatten(1, (points, -1)).mean(1)
