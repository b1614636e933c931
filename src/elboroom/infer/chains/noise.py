"""The noise that drives chains: the same for all rows, or of each row its own."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Noise:
    """What the chains are driven by.

    Attributes:
        generator: draws it.
        shared: whether all rows see the same noise, so that none depends on its company. The
            errors of rows are independent only if not.
    """

    generator: torch.Generator = field(repr=False)
    shared: bool

    def normal(self, like: Tensor) -> Tensor:
        """Standard normals of the shape (C, B, D) of `like`."""
        chains, rows, latents = like.shape
        return torch.randn((chains, self._rows(rows), latents), **self._kind(like)).expand_as(like)

    def uniform(self, like: Tensor) -> Tensor:
        """Uniforms of the shape (C, B) of `like`."""
        chains, rows = like.shape
        return torch.rand((chains, self._rows(rows)), **self._kind(like)).expand_as(like)

    def scalar(self, like: Tensor) -> Tensor:
        """One uniform, (), the same in every row either way."""
        return torch.rand((), **self._kind(like))

    def _rows(self, rows: int) -> int:
        return 1 if self.shared else rows

    def _kind(self, like: Tensor) -> dict[str, Any]:
        return {"generator": self.generator, "dtype": like.dtype, "device": like.device}
