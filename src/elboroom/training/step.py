"""One step of training: a batch is drawn, and Adam takes the gradient of a bound on it."""

import torch
from torch import Tensor

from elboroom.config import ObjectiveConfig
from elboroom.data import Part
from elboroom.device import autocast
from elboroom.model.vae import VAE
from elboroom.training.adam import Adam
from elboroom.training.objective import Bound, bound


class Step:
    """A step of Adam on the parameters of `model`, in place.

    Args:
        model: in training mode.
        part: where batches come from, on the model's device or on disk.
        optimiser: over the model's parameters.
        objective: the bound that is maximised.
        dtype: of matrix products.
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
        """Feeds all draws of a step; seed it before each."""

    def __call__(self, index: Tensor, rate: float | Tensor, kl_warmup: float | Tensor) -> Tensor:
        """One step on the images at `index`.

        Args:
            index: rows of the part, (B,), where its images are.
            rate: Adam's step size.
            kl_warmup: how far β has risen, in [0, 1].

        Returns:
            The bound, the reconstruction term and the KL, summed over the batch, in nats: (3,).
        """
        found = self.gradients(index, kl_warmup)
        self.descend(rate)
        return found.totals

    def gradients(self, index: Tensor, kl_warmup: float | Tensor) -> Bound:
        """As a step, but parameters only get their gradients, those of the loss.

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
        """The step of Adam itself, along the gradients that there are."""
        self.optimiser.step(rate)
        self.model.prior.project()
