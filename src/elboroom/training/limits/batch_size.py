"""The batch size that `auto` chooses: the largest whose step fits into memory."""

from dataclasses import dataclass

from elboroom.config import ObjectiveConfig, TrainConfig
from elboroom.data import Part
from elboroom.device import free_memory, resolve_device
from elboroom.errors import UsageError
from elboroom.model.vae import VAE
from elboroom.training.limits.memory import parameter_copies, step_bytes, weight_bytes

_SIZES = tuple(2**power for power in range(10))  # with larger batches an epoch has few steps
_SHARE = 0.5  # the share of the free memory that a step may take


@dataclass(frozen=True)
class BatchSize:
    """The batch size that fits, the memory that its step needs, and the free memory."""

    size: int
    """Images in a step."""
    needed: int
    """Estimated bytes that a step takes."""
    free: int
    """Free bytes."""

    def __str__(self) -> str:
        """Return the sentence that `elboroom train --explain` prints."""
        needed, free = (number / 2**20 for number in (self.needed, self.free))
        return (
            f"{self.size} images a step, which takes about {needed:,.1f} MiB; {free:,.0f} MiB are "
            f"free; the limits are {_SHARE:.0%} of them and {_SIZES[-1]} images"
        )


def largest_fit(
    model: VAE, part: Part, config: TrainConfig, *, objective: ObjectiveConfig
) -> BatchSize:
    """Return the largest power of two, up to 512 and the size of `part`, whose step fits.

    This is the estimate of `training.limits.memory`.

    Args:
        model: left unchanged.
        part: the images to train on.
        config: options of training, among them the device.
        objective: the bound that training will maximise.

    Raises:
        UsageError: if the free memory is unknown, or not even one image fits.
    """
    device = resolve_device(config.device)
    free = free_memory(device)
    if free is None:
        raise _refusal("this system does not report how much memory is free")
    each, fixed = step_bytes(model, part, config, objective)
    fixed += parameter_copies(device) * weight_bytes(model)
    sizes = [size for size in _SIZES if size <= max(1, len(part))]
    fitting = [size for size in sizes if fixed + size * each <= _SHARE * free]
    if not fitting:
        need = f"a step on one image takes about {(fixed + each) / 2**20:,.0f} MiB"
        raise _refusal(f"{need}; half of the free memory is {_SHARE * free / 2**20:,.0f} MiB")
    return BatchSize(fitting[-1], fixed + fitting[-1] * each, free)


def _refusal(why: str) -> UsageError:
    fix = "give --batch-size a number"
    return UsageError("--batch-size auto found no batch size that fits", why=why, fix=fix)
