"""The batch size that `auto` chooses: the largest whose step fits into memory."""

from dataclasses import dataclass

from elboroom.config import ObjectiveConfig, TrainConfig
from elboroom.data import Part
from elboroom.device import free_memory, readable, resolve_device, world
from elboroom.errors import UsageError
from elboroom.model.vae import VAE
from elboroom.training.limits.memory import parameter_copies, step_bytes, weight_bytes

_SIZES = tuple(2**power for power in range(10))  # with larger batches an epoch has few steps
_SHARE = 0.5  # the share of the free memory that a step may take


@dataclass(frozen=True)
class BatchSize:
    """The batch size that fits, the memory that its step needs, and the free memory."""

    size: int
    """Rows in a step."""
    needed: int
    """Estimated bytes that a step takes."""
    free: int
    """Free bytes."""
    nouns: str
    """The word for several rows of the data."""

    def __str__(self) -> str:
        """Return the sentence that `elboroom train --explain` prints."""
        return (
            f"{self.size} {self.nouns} a step, which takes about {readable(self.needed)}; "
            f"{readable(self.free)} is free; the limits are {_SHARE:.0%} of it and "
            f"{_SIZES[-1]} {self.nouns}"
        )


def largest_fit(
    model: VAE, part: Part, config: TrainConfig, *, objective: ObjectiveConfig
) -> BatchSize:
    """Return the largest power of two, up to 512 and the size of `part`, whose step fits.

    This is the estimate of `training.limits.memory`. Several processes share a step, and take the
    least of what fits each.

    Args:
        model: left unchanged.
        part: the rows to train on.
        config: options of training, among them the device.
        objective: the bound that training will maximise.

    Raises:
        UsageError: if the free memory is unknown, or not even one row fits.
    """
    device = resolve_device(config.device)
    free = free_memory(device)
    if free is None:
        raise _refusal("this system does not report how much memory is free")
    each, fixed = step_bytes(model, part, config, objective)
    fixed += parameter_copies(config) * weight_bytes(model)
    sizes = [size for size in _SIZES if size <= max(1, len(part))]
    needed = {size: fixed + -(-size // world().size) * each for size in sizes}
    fitting = [size for size in sizes if needed[size] <= _SHARE * free]
    if not fitting:
        need = f"a step on one {part.noun} takes about {readable(fixed + each)}"
        raise _refusal(f"{need}; half of the free memory is {readable(_SHARE * free)}")
    size = world().least(fitting[-1])
    return BatchSize(size, needed[size], free, part.nouns)


def _refusal(why: str) -> UsageError:
    fix = "give --batch-size a number"
    return UsageError("--batch-size auto found no batch size that fits", why=why, fix=fix)
