"""The noise of chains: shared by all rows, or independent between them."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from elboroom.randomness import normals, uniforms


@dataclass(frozen=True)
class Noise:
    """The noise of C chains of B rows.

    Attributes:
        generator: random generator of the noise.
        shared: True if all rows share the noise, so that none depends on the others in its batch.
            Only without sharing are the errors of rows independent.
    """

    generator: torch.Generator = field(repr=False)
    shared: bool

    def normal(self, like: Tensor) -> Tensor:
        """Draw standard normal values of the shape (C, B, D) of `like`."""
        chains, rows, latents = like.shape
        shape = (chains, self._rows(rows), latents)
        return normals(shape, like, self.generator).expand_as(like)

    def uniform(self, like: Tensor) -> Tensor:
        """Draw uniform values of the shape (C, B) of `like`."""
        chains, rows = like.shape
        return uniforms((chains, self._rows(rows)), like, self.generator).expand_as(like)

    def scalar(self, like: Tensor) -> Tensor:
        """Draw one uniform value, (), which all rows share in either case."""
        return uniforms((), like, self.generator)

    def _rows(self, rows: int) -> int:
        return 1 if self.shared else rows
