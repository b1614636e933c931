"""Explanations of the choices that training makes on this machine."""

import torch
from torch import Tensor

from elboroom.config import ObjectiveConfig, TrainConfig
from elboroom.data import Part
from elboroom.device import (
    describe_device,
    readable,
    resolve_device,
    resolve_precision,
    world,
)
from elboroom.model.vae import VAE
from elboroom.training.speed.compilation import (
    MEASURED_ON,
    is_compiled,
    is_traceable,
    seconds_saved,
    why_not_compilable,
)
from elboroom.training.speed.cuda_graph import uses_cuda_graph
from elboroom.training.speed.threads import adapts_threads


def explain(
    model: VAE, part: Part, config: TrainConfig, objective: ObjectiveConfig, steps: float
) -> dict[str, str]:
    """Return each choice of `train` for `part` on this machine, with its reason.

    Args:
        model: the initial model.
        part: the rows to train on.
        config: options of training.
        objective: the bound that training will maximise.
        steps: the number of steps of the training.

    Raises:
        UsageError: if `config` asks for a device or compiler that this machine does not have.
    """
    device = resolve_device(config.device)
    return (
        machine_choices(config)
        | _processes(part, config)
        | {
            "networks": _networks(model, part, config, objective, device, steps),
            "steps": _steps(part, device),
            "data": _data(part, device),
        }
    )


def machine_choices(config: TrainConfig) -> dict[str, str]:
    """Return those choices that follow from the machine alone, with their reasons.

    Raises:
        UsageError: if `config` names a device that this machine does not have.
    """
    device = resolve_device(config.device)
    return {
        "device": _device(config, device),
        "matrix products": _products(config, device),
        "threads": _threads(config, device),
    }


def _device(config: TrainConfig, device: torch.device) -> str:
    if config.device != "auto":
        return f"{describe_device(device)}, as requested"
    found = (
        "PyTorch finds a CUDA device" if device.type == "cuda" else "PyTorch finds no CUDA device"
    )
    return f"{describe_device(device)}: {found}"


def _products(config: TrainConfig, device: torch.device) -> str:
    dtype = resolve_precision(config.precision, device)
    name = str(dtype).removeprefix("torch.")
    if config.precision != "auto":
        return f"{name}, as requested"
    natively = "natively" if dtype == torch.bfloat16 else "only by converting to float32"
    return f"{name}: {device.type} multiplies bfloat16 {natively}; weights and sums stay float32"


def _threads(config: TrainConfig, device: torch.device) -> str:
    most = torch.get_num_threads()
    if config.threads != "auto":
        return f"{config.threads}, as requested"
    if not adapts_threads(config, device):
        return f"{most}, the number that PyTorch chose"
    return f"{most}, or 1 while that is faster, for example while another process keeps a core"


def _processes(part: Part, config: TrainConfig) -> dict[str, str]:
    """Return how several processes share a step; nothing for one."""
    size, batch = world().size, min(config.resolved_batch_size, len(part))
    if size == 1:
        return {}
    return {"processes": f"{size}, which share the {batch:,} {part.nouns} of a step"}


def _networks(
    model: VAE,
    part: Part,
    config: TrainConfig,
    objective: ObjectiveConfig,
    device: torch.device,
    steps: float,
) -> str:
    compiled = is_compiled(model, part, config, objective, device, steps)
    whole = " with the whole step" * is_traceable(model, config, device)
    if config.compile != "auto":
        return f"{f'compiled{whole}' if compiled else 'uncompiled'}, as requested"
    if compiled:
        saved = seconds_saved(model, part, config, objective, device, steps)
        return (
            f"compiled{whole}, which saves about {saved:,.0f} s in {steps:,.0f} steps, by "
            f"measurements on {MEASURED_ON[device.type]}"
        )
    why = why_not_compilable(device) or "compiling would take longer than it saves"
    return f"uncompiled: {why}"


def _steps(part: Part, device: torch.device) -> str:
    if uses_cuda_graph(part, device):
        return "recorded as a CUDA graph and replayed: launching kernels takes longer than they run"
    if device.type != "cuda":
        return "run one by one"
    disk = "a CUDA graph cannot read from disk"
    return f"run one by one: {disk if part.on_disk else 'several processes reduce in each'}"


def _data(part: Part, device: torch.device) -> str:
    drawn = f", its pixels drawn on {device.type} at every visit" if part.redraw else ""
    if not isinstance(part.images, Tensor):
        return f"{len(part):,} {part.nouns} on disk, too large for --memory, read in batches{drawn}"
    size = readable(part.images.numel() * part.images.element_size())
    kind = str(part.images.dtype).removeprefix("torch.")
    return f"{len(part):,} {part.nouns} as {kind}, {size}, all on {device.type}{drawn}"
