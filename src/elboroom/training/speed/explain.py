"""Why training goes the way it does on this machine, in words."""

import torch

from elboroom.config import ObjectiveConfig, TrainConfig
from elboroom.data import Part
from elboroom.data.lazy_images import LazyImages
from elboroom.device import describe_device, resolve_device, resolve_precision
from elboroom.training.speed.compilation import is_compiled, seconds_saved, why_not_compilable
from elboroom.training.speed.fast_steps import is_adaptive, is_recorded


def explain(config: TrainConfig, objective: ObjectiveConfig, part: Part) -> dict[str, str]:
    """What `train` would choose here for `part`, and why, under the name of each choice.

    Raises:
        UsageError: a device was named, or a compiler asked for, that this machine does not have.
    """
    device = resolve_device(config.device)
    return machine_choices(config) | {
        "networks": _networks(config, objective, part, device),
        "steps": _steps(part, device),
        "data": _data(part, device),
    }


def machine_choices(config: TrainConfig) -> dict[str, str]:
    """The choices among these that follow from the machine alone.

    Raises:
        UsageError: a device was named that this machine does not have.
    """
    device = resolve_device(config.device)
    return {
        "device": _device(config, device),
        "matrix products": _products(config, device),
        "threads": _threads(config, device),
    }


def _device(config: TrainConfig, device: torch.device) -> str:
    if config.device != "auto":
        return f"{describe_device(device)}, as asked"
    found = (
        "PyTorch finds a CUDA device" if device.type == "cuda" else "PyTorch finds no CUDA device"
    )
    return f"{describe_device(device)}: {found}"


def _products(config: TrainConfig, device: torch.device) -> str:
    dtype = resolve_precision(config.precision, device)
    name = str(dtype).removeprefix("torch.")
    if config.precision != "auto":
        return f"{name}, as asked"
    natively = "natively" if dtype == torch.bfloat16 else "only by way of float32"
    return f"{name}: {device.type} multiplies bfloat16 {natively}; weights and sums stay float32"


def _threads(config: TrainConfig, device: torch.device) -> str:
    most = torch.get_num_threads()
    if config.threads != "auto":
        return f"{config.threads}, as asked"
    if not is_adaptive(config, device):
        return f"{most}, as PyTorch chose"
    return f"{most}, or 1 while that is faster, as where another process keeps a core"


def _networks(
    config: TrainConfig, objective: ObjectiveConfig, part: Part, device: torch.device
) -> str:
    compiled = is_compiled(config, objective, part, device)
    if config.compile != "auto":
        return f"{'compiled' if compiled else 'run as they stand'}, as asked"
    if compiled:
        saved = seconds_saved(config, objective, part, device)
        return f"compiled, which saves {config.epochs:,} epochs about {saved:,.0f} s"
    why = why_not_compilable(device) or "compiling would take longer than it saves"
    return f"run as they stand: {why}"


def _steps(part: Part, device: torch.device) -> str:
    if is_recorded(part, device):
        return "recorded as a CUDA graph and replayed: launching kernels takes longer than running"
    why = ": a CUDA graph cannot read images from disk" if device.type == "cuda" else ""
    return f"run as they stand{why}"


def _data(part: Part, device: torch.device) -> str:
    drawn = f", its pixels drawn on {device.type} at every visit" if part.redraw else ""
    if isinstance(part.images, LazyImages):
        return f"{len(part):,} images on disk, too large for --memory, read by the batch{drawn}"
    size = part.images.numel() * part.images.element_size() / 2**20
    kind = str(part.images.dtype).removeprefix("torch.")
    return f"{len(part):,} images as {kind}, {size:,.0f} MiB, all on {device.type}{drawn}"
