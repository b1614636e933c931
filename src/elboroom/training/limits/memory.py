"""The memory that training takes, counted before a run is made and compared with what is free."""

from copy import deepcopy
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from elboroom.config import WIDTHS, Config, ObjectiveConfig, TrainConfig
from elboroom.data import Dataset, Part, noun
from elboroom.device import free_memory, readable, resolve_device, world
from elboroom.errors import UsageError
from elboroom.model.vae import VAE, least_weights
from elboroom.randomness import stream
from elboroom.training.objective import bound

_FLOAT = 4  # bytes
_PROBES = 8, 16  # two batch sizes; the difference gives the memory of one row
_SAMPLES = 4, 8  # two numbers of samples; the difference gives the memory of one sample
_ACTIVATION_COPIES = 2  # saved activations, and the gradients that replace them
# Copies of the parameters: gradient, two moments, and the last good weights and moments.
_PARAMETER_COPIES = 6
# Further copies in the processor's memory: the best checkpoint, and one that is being written.
_CHECKPOINT_COPIES = 9
# Each of these states has an average, where there is one.
_STATES, _CHECKPOINT_STATES = 2, 3
_BEFORE_A_STEP = 3  # weights and moments that a skipped step of Adamax returns to
_SMALLER = {
    "image": "--hidden, --channels, --latents or --components, or smaller images",
    "row": "--hidden, --latents or --components, or rows of fewer values",
}


@dataclass(frozen=True)
class Memory:
    """The bytes that training needs on a device, and those that are free there.

    Attributes:
        weights: bytes of one copy of the weights.
        copies: number of copies: weights, gradients, moments, and checkpoints in the processor's
            memory.
        step: bytes of a step for its batch, and of rows that move to the device.
        free: free bytes; None if the system does not report them.
        event_shape: shape of one row.
    """

    weights: int
    copies: int
    step: int
    free: int | None
    event_shape: tuple[int, ...]

    @property
    def needed(self) -> int:
        """All bytes that training allocates."""
        return self.copies * self.weights + self.step

    def __str__(self) -> str:
        """Return the sentence that `elboroom train --explain` prints."""
        free = "an unknown amount" if self.free is None else readable(self.free)
        return (
            f"training takes about {readable(self.needed)}: {self.copies} copies of "
            f"{readable(self.weights)} of weights, for gradients, moments and checkpoints, and "
            f"{readable(self.step)} for a step; {free} is free"
        )

    def require_fit(self) -> None:
        """Check that the memory is free.

        Raises:
            UsageError: if it is not; a system that does not report free memory passes.
        """
        if self.free is None or self.needed <= self.free:
            return
        is_weights = self.copies * self.weights > self.step
        raise UsageError(
            f"this run needs about {readable(self.needed)} of memory, and "
            f"{readable(self.free)} is free",
            why=str(self),
            fix=f"take a smaller {_SMALLER[noun(self.event_shape)]}"
            if is_weights
            else "take a smaller --batch-size, or auto, which chooses one that fits; or a smaller "
            f"{WIDTHS}, or fewer samples by --k and --m",
        )


def require_memory_for_weights(config: Config, event_shape: tuple[int, ...]) -> None:
    """Check that the weights of a config fit, before any of them is allocated.

    Raises:
        UsageError: if even the least number of weights does not.
    """
    device = resolve_device(config.train.device)
    weights = _FLOAT * least_weights(config.model, event_shape)
    copies, free = parameter_copies(config.train), free_memory(device)
    Memory(weights, copies, 0, free, event_shape).require_fit()


def require_memory(
    model: VAE, data: Dataset, config: TrainConfig, objective: ObjectiveConfig
) -> Memory:
    """Check that training fits into memory, and return what it takes.

    Raises:
        UsageError: if it does not fit.
    """
    device = resolve_device(config.device)
    each, fixed = step_bytes(model, data.train, config, objective)
    rows = -(-min(config.resolved_batch_size, len(data.train)) // world().size)
    # The model exists already: its own copy of the weights is no longer to be allocated.
    copies = parameter_copies(config)
    step, free = fixed + rows * each, free_memory(device)
    memory = Memory(weight_bytes(model), copies, step, free, data.event_shape)
    memory.require_fit()
    return memory


def parameter_copies(config: TrainConfig) -> int:
    """Return the number of copies of the weights that training allocates besides the model."""
    checkpoints = resolve_device(config.device).type == "cpu"
    averages = (_STATES + _CHECKPOINT_STATES * checkpoints) * (config.ema > 0)
    returns = config.optimiser == "adamax" and config.skip is not None
    before = _BEFORE_A_STEP * returns
    return _PARAMETER_COPIES + _CHECKPOINT_COPIES * checkpoints + averages + before


def weight_bytes(model: VAE) -> int:
    """Return the bytes of the parameters."""
    return sum(p.numel() * p.element_size() for p in model.parameters())


def step_bytes(
    model: VAE, part: Part, config: TrainConfig, objective: ObjectiveConfig
) -> tuple[int, int]:
    """Estimate the bytes that a step takes for each row, and those for any batch.

    This is an estimate in float32. The bytes that a step saves for its backward pass are counted at
    two batch sizes, and grow in proportion to the rows. The rows of the part count if they
    move to another device.
    """
    few, more = (_saved_bytes(model, part, config, objective, rows) for rows in _PROBES)
    each = (more - few) // (_PROBES[1] - _PROBES[0])
    fixed = _ACTIVATION_COPIES * (few - _PROBES[0] * each)
    if resolve_device(config.device).type != "cpu" and isinstance(part.images, Tensor):
        fixed += part.images.nbytes
    return _ACTIVATION_COPIES * each, fixed


def _saved_bytes(
    model: VAE, part: Part, config: TrainConfig, objective: ObjectiveConfig, rows: int
) -> int:
    """Count the bytes that a step on some rows saves for its backward pass, on the processor.

    With many samples a step might not fit itself. Its bytes grow in proportion to the samples.
    """
    for name, number in (("k", objective.k), ("m", objective.m)):
        if number > _SAMPLES[1]:
            smaller = (replace(objective, **{name: n}) for n in _SAMPLES)
            few, more = (_saved_bytes(model, part, config, o, rows) for o in smaller)
            return few + (more - few) * (number - _SAMPLES[0]) // (_SAMPLES[1] - _SAMPLES[0])
    trial, noise = deepcopy(model).cpu().train(), stream(config.seed, "batch size")
    x = part.batch(torch.arange(rows, device=part.device) % len(part), noise)
    saved: dict[int, torch.UntypedStorage] = {}  # keeping them keeps their addresses unique

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage
        return tensor

    apart = torch.random.fork_rng(devices=[])  # dropout would draw from the global random state
    with apart, saved_tensors_hooks(keep, lambda tensor: tensor):
        moved = (x, part.seen(x)) if objective.consistency else None
        bound(trial, x, part.seen(x), config=objective, generator=noise, moved=moved)
    return sum(storage.nbytes() for storage in saved.values())
