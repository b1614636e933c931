"""How many images a step takes where nobody says: the most whose step fits into memory."""

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

_SIZES = tuple(2**power for power in range(10))  # beyond, an epoch has few steps
_SHARE = 0.5  # of the free memory is what a step may take
_PROBES = 8, 16  # images, of which what one more keeps is told
_COPIES = 2  # of what is kept: itself, and the gradients that replace it
_OF_PARAMETERS = 6  # copies: the gradient, two moments, and the last good state of all but it
_KEPT_ASIDE = 9  # more on the processor: the best that waits, and a checkpoint as it is written


@dataclass(frozen=True)
class BatchSize:
    """The batch size that fits, and by how much."""

    size: int
    """Images a step."""
    needed: int
    """Bytes that a step takes, about."""
    free: int
    """Bytes that are free."""

    def __str__(self) -> str:
        """In words, for `elboroom train --explain`."""
        needed, free = (number / 2**20 for number in (self.needed, self.free))
        return (
            f"{self.size} images a step, which takes about {needed:,.1f} MiB; {free:,.0f} MiB are "
            f"free, of which at most {_SHARE:.0%} is taken, and {_SIZES[-1]} images"
        )


def largest_fit(
    model: VAE, part: Part, config: TrainConfig, *, objective: ObjectiveConfig
) -> BatchSize:
    """The largest power of two, up to 512 and the images there are, whose step fits.

    It is an estimate in float32, made before anything is trained: what a step of some images keeps
    for its backward pass is counted, and grows in proportion to them.

    Args:
        model: left as it is.
        part: what it will be trained on.
        config: says on which device.
        objective: what will be maximised.

    Raises:
        UsageError: the free memory is not known, or not even one image fits.
    """
    device = resolve_device(config.device)
    free = free_memory(device)
    if free is None:
        raise _refusal("this system does not tell how much memory is free")
    each, fixed = _needed(model, part, config, objective)
    if device.type != "cpu" and isinstance(part.images, Tensor):
        fixed += part.images.nbytes
    sizes = [size for size in _SIZES if size <= max(1, len(part))]
    fitting = [size for size in sizes if fixed + size * each <= _SHARE * free]
    if not fitting:
        need = f"a step on one image takes about {(fixed + each) / 2**20:,.0f} MiB"
        raise _refusal(f"{need}, half of what is free is {_SHARE * free / 2**20:,.0f} MiB")
    return BatchSize(fitting[-1], fixed + fitting[-1] * each, free)


def _needed(
    model: VAE, part: Part, config: TrainConfig, objective: ObjectiveConfig
) -> tuple[int, int]:
    """Bytes that a step takes for each image, and for any number of them."""
    few, more = (_kept(model, part, config, objective, images) for images in _PROBES)
    each = (more - few) // (_PROBES[1] - _PROBES[0])
    parameters = sum(p.numel() * p.element_size() for p in model.parameters())
    copies = _OF_PARAMETERS + _KEPT_ASIDE * (resolve_device(config.device).type == "cpu")
    fixed = _COPIES * (few - _PROBES[0] * each) + copies * parameters
    return _COPIES * each, fixed


def _kept(
    model: VAE, part: Part, config: TrainConfig, objective: ObjectiveConfig, images: int
) -> int:
    """Bytes that a step on so many images, on the processor, keeps for its backward pass."""
    rehearsal, noise = deepcopy(model).cpu().train(), stream(config.seed, "batch size")
    x = part.batch(torch.arange(images, device=part.device) % len(part), noise)
    kept: dict[int, torch.UntypedStorage] = {}  # which hold what they stand for

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        bound(rehearsal, x, part.seen(x), config=objective, generator=noise)
    return sum(storage.nbytes() for storage in kept.values())


def _refusal(why: str) -> UsageError:
    fix = "give --batch-size a number"
    return UsageError("--batch-size auto finds no number", why=why, fix=fix)
