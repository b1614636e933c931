"""The batch size that `auto` chooses: the largest whose step fits into memory."""

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from elboroom.config import ObjectiveConfig, TrainConfig
from elboroom.data import Part
from elboroom.device import free_memory, resolve_device
from elboroom.errors import UsageError
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.training.objective import bound

_SIZES = tuple(2**power for power in range(10))  # with larger batches an epoch has few steps
_SHARE = 0.5  # the share of the free memory that a step may take
_PROBES = 8, 16  # two batch sizes; the difference gives the memory of one image
_ACTIVATION_COPIES = 2  # saved activations, and the gradients that replace them
# Copies of the parameters: gradient, two moments, and the last good weights and moments.
_PARAMETER_COPIES = 6
# Further copies in the processor's memory: the best checkpoint, and one that is being written.
_CHECKPOINT_COPIES = 9


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

    This is an estimate in float32 before training. The bytes that a step saves for its backward
    pass are counted at two batch sizes, and grow in proportion to the images.

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
    each, fixed = _needed(model, part, config, objective)
    if device.type != "cpu" and isinstance(part.images, Tensor):
        fixed += part.images.nbytes
    sizes = [size for size in _SIZES if size <= max(1, len(part))]
    fitting = [size for size in sizes if fixed + size * each <= _SHARE * free]
    if not fitting:
        need = f"a step on one image takes about {(fixed + each) / 2**20:,.0f} MiB"
        raise _refusal(f"{need}; half of the free memory is {_SHARE * free / 2**20:,.0f} MiB")
    return BatchSize(fitting[-1], fixed + fitting[-1] * each, free)


def _needed(
    model: VAE, part: Part, config: TrainConfig, objective: ObjectiveConfig
) -> tuple[int, int]:
    """Estimate the bytes that a step takes for each image, and those for any batch."""
    few, more = (_saved_bytes(model, part, config, objective, images) for images in _PROBES)
    each = (more - few) // (_PROBES[1] - _PROBES[0])
    parameters = sum(p.numel() * p.element_size() for p in model.parameters())
    copies = _PARAMETER_COPIES + _CHECKPOINT_COPIES * (resolve_device(config.device).type == "cpu")
    fixed = _ACTIVATION_COPIES * (few - _PROBES[0] * each) + copies * parameters
    return _ACTIVATION_COPIES * each, fixed


def _saved_bytes(
    model: VAE, part: Part, config: TrainConfig, objective: ObjectiveConfig, images: int
) -> int:
    """Count the bytes that a step on some images saves for its backward pass, on the processor."""
    trial, noise = deepcopy(model).cpu().train(), stream(config.seed, "batch size")
    x = part.batch(torch.arange(images, device=part.device) % len(part), noise)
    saved: dict[int, torch.UntypedStorage] = {}  # keeping them keeps their addresses unique

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        bound(trial, x, part.seen(x), config=objective, generator=noise)
    return sum(storage.nbytes() for storage in saved.values())


def _refusal(why: str) -> UsageError:
    fix = "give --batch-size a number"
    return UsageError("--batch-size auto found no batch size that fits", why=why, fix=fix)
