"""One step of training: draw a batch, differentiate a bound, and let Adam descend."""

import torch
from torch import Tensor

from elboroom.config import ObjectiveConfig
from elboroom.data import Part
from elboroom.device import autocast
from elboroom.model.vae import VAE
from elboroom.training.adam import Adam
from elboroom.training.objective import Bound, bound


class Step:
    """A step of Adam that changes the parameters of `model` in place.

    Args:
        model: the model, in training mode.
        part: images that batches are taken from, on the model's device or on disk.
        optimiser: Adam over the model's parameters.
        objective: the bound that is maximised.
        dtype: type of matrix products.
    """

    def __init__(
        self,
        model: VAE,
        part: Part,
        optimiser: Adam,
        objective: ObjectiveConfig,
        dtype: torch.dtype,
    ) -> None:
        self.model, self.part, self.optimiser = model, part, optimiser
        self.objective, self.dtype = objective, dtype
        self.noise = torch.Generator(next(model.parameters()).device)
        """Random generator of all draws of a step; seed it before each."""

    def __call__(self, index: Tensor, rate: float | Tensor, kl_warmup: float | Tensor) -> Tensor:
        """Take one step on the images at `index`.

        Args:
            index: rows of the part, (B,), on the device of its images.
            rate: Adam's step size.
            kl_warmup: factor of β, in [0, 1].

        Returns:
            The bound, the reconstruction term and the KL, summed over the batch, in nats: (3,).
        """
        found = self.gradients(index, kl_warmup)
        self.descend(rate)
        return found.totals

    def gradients(self, index: Tensor, kl_warmup: float | Tensor) -> Bound:
        """Compute the gradients of the loss, and leave the parameters as they are.

        Returns:
            The bound of each image.
        """
        x = self.part.batch(index, self.noise)
        with autocast(self.dtype, x.device):
            found = bound(
                self.model,
                x,
                self.part.seen(x),
                config=self.objective,
                kl_warmup=kl_warmup,
                generator=self.noise,
            )
        loss = -found.value.mean()
        self.optimiser.zero_grad()
        loss.backward()
        return found

    def descend(self, rate: float | Tensor) -> None:
        """Move the parameters along their gradients by Adam, and project the prior's."""
        self.optimiser.step(rate)
        self.model.prior.project()
