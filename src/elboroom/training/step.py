"""One step of training: draw a batch, differentiate a bound, and let the optimiser descend."""

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from elboroom.config import ObjectiveConfig, TrainConfig
from elboroom.data import Part
from elboroom.device import autocast
from elboroom.model.vae import VAE
from elboroom.training.augmentation import Augmentation
from elboroom.training.objective import Bound, bound
from elboroom.training.skipping import Skipping
from elboroom.training.state import TrainState


class Step:
    """A step that changes the parameters of `model` and its state in place.

    Args:
        model: the model, in training mode.
        part: images that batches are taken from, on the model's device or on disk.
        state: the optimiser over the model's parameters; the moving average and the counts of
            skipped steps where there are any. Its other numbers stay as they are.
        config: options of training: augmentation, and what is done with large gradients.
        objective: the bound that is maximised.
        dtype: type of matrix products.
    """

    def __init__(
        self,
        model: VAE,
        part: Part,
        state: TrainState,
        config: TrainConfig,
        objective: ObjectiveConfig,
        dtype: torch.dtype,
    ) -> None:
        self.model, self.part, self.optimiser = model, part, state.optimiser
        self.objective, self.dtype = objective, dtype
        self.noise = torch.Generator(next(model.parameters()).device)
        """Random generator of all draws of a step; seed it before each."""
        self.skipping = None
        """What skips steps, if steps may be skipped."""
        if config.skip is not None and state.skipped is not None:
            self.skipping = Skipping(model, config.skip, state.skipped)
        self._augment = Augmentation(config.flip, config.shift)
        self._average, self._clip = state.average, config.clip

    def __call__(self, index: Tensor, rate: float | Tensor, kl_warmup: float | Tensor) -> Tensor:
        """Take one step on the images at `index`.

        Args:
            index: rows of the part, (B,), on the device of its images.
            rate: the optimiser's step size.
            kl_warmup: factor of β, in [0, 1].

        Returns:
            The bound, the reconstruction term and the KL, summed over the batch, in nats: (3,);
            zeros if the step is skipped.
        """
        found = self.gradients(index, kl_warmup)
        self.descend(rate)
        if self.skipping is None:
            return found.totals
        return self.skipping.counted(found.totals, len(index))

    def gradients(self, index: Tensor, kl_warmup: float | Tensor) -> Bound:
        """Compute the gradients of the loss, and leave the parameters as they are.

        Returns:
            The bound of each image.
        """
        if self.skipping is not None:
            self.skipping.begin()
        x = self.part.batch(index, self.noise, self._augment)
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
        if self.skipping is not None:
            self.skipping.decide(get_total_norm(self.optimiser.gradients))
        return found

    def descend(self, rate: float | Tensor) -> None:
        """Move the parameters along their gradients, project the prior's, and average."""
        if self._clip is not None:
            clip_gradients(self.optimiser.gradients, self._clip)
        skip = None if self.skipping is None else self.skipping.skipped.float()
        self.optimiser.step(rate, skip)
        self.model.prior.project()
        if self._average is not None:
            self._average.update(None if skip is None else 1 - skip)


@torch.no_grad()
def clip_gradients(gradients: list[Tensor], most: float) -> None:
    """Scale gradients down, in place, so that their norm is `most` or less.

    This is the global norm of Pascanu et al. (2013), algorithm 1. Gradients whose norm is not
    finite become NaN: scaled to zero they would go unnoticed.
    """
    norm = get_total_norm(gradients)
    # g ← g min(1, c / ‖g‖)
    scale = (most / norm).clamp(max=1.0)
    scale = torch.where(norm.isfinite(), scale, torch.nan)
    for gradient in gradients:
        gradient.mul_(scale)
