"""One step of training: draw a batch, differentiate a bound, and let the optimiser descend."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from elboroom.config import ObjectiveConfig, TrainConfig
from elboroom.data import Part
from elboroom.device import autocast, world
from elboroom.model.vae import VAE
from elboroom.randomness import restart
from elboroom.training.augmentation import Augmentation
from elboroom.training.data_parallel import DataParallel
from elboroom.training.hiding import hide
from elboroom.training.objective import Bound, bound
from elboroom.training.share import Share
from elboroom.training.skipping import Skipping
from elboroom.training.state import TrainState


class FastStep(Protocol):
    """A way to take a step that may be faster than `Step`, whose draws and result it has."""

    noise: torch.Generator

    def __call__(self, index: Tensor, rate: float, kl_warmup: float, augments: bool, /) -> Tensor:
        """Take a step, as `Step` does."""
        ...


class Step:
    """A step that changes the parameters of `model` and its state in place.

    Several processes share each batch, and all take the same step.

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
        """Random generator of all draws of a step; `restart` it before each."""
        self.world = world()
        """The processes that share a batch."""
        self.parallel = DataParallel(model, self.world) if self.world.size > 1 else None
        """What averages the gradients of several processes."""
        self.skipping: Skipping | None = None
        """What skips steps, if steps may be skipped."""
        if config.skip is not None and state.skipped is not None:
            self.skipping = Skipping(model, config.skip, state.skipped)
        self._augment = Augmentation.of(config)
        self._average, self._clip, self._seed = state.average, config.clip, config.seed
        self._hide = config.hide
        self._norm: Tensor  # of the last gradients, where a limit needs it

    def restart(self, number: int) -> None:
        """Let the noise follow from the seed, the number of the step, and the process."""
        rank = self.world.rank
        restart(self.noise, self._seed, f"step of rank {rank}" if rank else "step", number)

    def __call__(
        self,
        index: Tensor,
        rate: float | Tensor,
        kl_warmup: float | Tensor,
        augments: bool = True,
    ) -> Tensor:
        """Take one step on the images at `index`.

        Args:
            index: rows of the part, (B,), on the device of its images.
            rate: the optimiser's step size.
            kl_warmup: factor of β, in [0, 1].
            augments: whether images are moved, if the options move any.

        Returns:
            The bound, the reconstruction term and the KL, summed over the batch, in nats: (3,);
            zeros if the step is skipped.
        """
        _, totals = self.gradients(index, kl_warmup, augments)
        self.descend(rate)
        return totals if self.skipping is None else self.skipping.counted(totals, len(index))

    def gradients(
        self, index: Tensor, kl_warmup: float | Tensor, augments: bool = True
    ) -> tuple[Bound, Tensor]:
        """Compute the gradients of the loss, and leave the parameters as they are.

        Returns:
            The bound of each image that this process computes; and the bound, the reconstruction
            term and the KL summed over the batch, (3,).

        Raises:
            WorldError: if another process has ended.
        """
        if self.skipping is not None:
            self.skipping.begin()
        self.optimiser.zero_grad()
        share = Share.of(index, self.world)
        found, totals = self._differentiate(share, lambda: self._bound(share, kl_warmup, augments))
        if self.skipping is not None or self._clip is not None:
            self._norm = get_total_norm(self.optimiser.gradients)
        if self.skipping is not None:
            self.skipping.decide(self._norm)
        return found, totals

    def _differentiate(self, share: Share, bounds: Callable[[], Bound]) -> tuple[Bound, Tensor]:
        """Set the gradients, and return the bounds of a share and the sums over the batch."""
        if self.parallel is None:
            found = bounds()
            share.loss(found.value).backward()
            return found, found.totals
        computed = list[Bound]()

        def compute() -> tuple[Tensor, Tensor]:
            computed.append(bounds())
            return share.loss(computed[0].value), computed[0].totals

        totals = self.parallel.differentiate(compute)
        return computed[0], totals

    def _bound(self, share: Share, kl_warmup: float | Tensor, augments: bool) -> Bound:
        """Compute the bound of each image of a share that counts."""
        twice = augments and self.objective.consistency > 0
        x, mask = self._rows(share, augments and not twice)
        moved = self._rows(share, True) if twice else None
        with autocast(self.dtype, x.device):
            found = bound(
                self.model,
                x,
                mask,
                config=self.objective,
                kl_warmup=kl_warmup,
                generator=self.noise,
                mean=share.mean,
                moved=moved,
            )
        return found.first(share.counted)

    def _rows(self, share: Share, augments: bool) -> tuple[Tensor, Tensor | None]:
        """Draw the images of a share, perhaps moved, and return where they are seen."""
        augment = self._augment if augments else Augmentation()
        x = self.part.batch(share.rows, self.noise, augment)
        return x, hide(x, self.part.seen(x), self._hide, self.noise)

    def descend(self, rate: float | Tensor) -> None:
        """Move the parameters along their gradients, project the prior's, and average."""
        if self._clip is not None:
            clip_gradients(self.optimiser.gradients, self._norm, self._clip)
        skip = None if self.skipping is None else self.skipping.skipped.float()
        self.optimiser.step(rate, skip)
        self.model.prior.project()
        if self._average is not None:
            self._average.update(None if skip is None else 1 - skip)


@torch.no_grad()
def clip_gradients(gradients: list[Tensor], norm: Tensor, most: float) -> None:
    """Scale gradients down, in place, so that their norm is `most` or less.

    This is the global norm of Pascanu et al. (2013), algorithm 1. Gradients whose norm is not
    finite become NaN: scaled to zero they would go unnoticed.

    Args:
        gradients: those of all parameters.
        norm: (), their norm, all together.
        most: the largest norm.
    """
    # g ← g min(1, c / ‖g‖)
    scale = (most / norm).clamp(max=1.0)
    scale = torch.where(norm.isfinite(), scale, torch.nan)
    for gradient in gradients:
        gradient.mul_(scale)
