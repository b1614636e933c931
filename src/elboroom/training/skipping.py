"""Steps that are skipped, since their gradient exploded."""

import torch
from torch import Tensor, nn


class Skipping:
    """Skips steps whose gradients have a norm above a limit, or one that is not finite.

    Such a step changes nothing, as in Child, *Very Deep VAEs* (2021), section 3.2. Weights and
    moments stay as they are by `Optimiser.step`, and running statistics by this class. All is
    decided on the device, which is not waited for.

    Args:
        model: the model in training.
        limit: the largest norm of a step that is taken; inf takes every finite one.
        counts: (2,), the skipped steps of the current epoch, and their images; changed in place.

    Attributes:
        norm: (), the norm of the last step.
        skipped: (), bool, True if the last step is skipped.
    """

    norm: Tensor
    skipped: Tensor

    def __init__(self, model: nn.Module, limit: float, counts: Tensor) -> None:
        self.limit, self.counts = limit, counts
        self._buffers, self._before = list(model.buffers()), list[Tensor]()

    def begin(self) -> None:
        """Remember the running statistics before a step, which its forward pass moves."""
        self._before = [buffer.clone() for buffer in self._buffers]

    @torch.no_grad()
    def decide(self, norm: Tensor) -> None:
        """Decide on a step by the norm of its gradients."""
        self.norm, self.skipped = norm, ~(norm.isfinite() & (norm <= self.limit))
        for buffer, before in zip(self._buffers, self._before, strict=True):
            buffer.copy_(torch.where(self.skipped, before, buffer))

    def counted(self, totals: Tensor, images: int) -> Tensor:
        """Count a step, and return the totals of a step that is taken, or zeros."""
        self.counts += torch.stack([self.skipped, self.skipped * images])
        return torch.where(self.skipped, torch.zeros_like(totals), totals)
