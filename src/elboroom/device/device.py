"""The device, and the set-up of a process for it."""

import torch

from elboroom.config import Device, TrainConfig
from elboroom.device.memory import keep_freed_memory
from elboroom.device.precision import resolve_precision
from elboroom.errors import UsageError


def resolve_device(name: Device) -> torch.device:
    """Return the torch device that `name` means on this machine.

    Raises:
        UsageError: if this machine does not have it.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device("cuda" if available["cuda"] else "cpu")
    if not available.get(name, True):
        raise UsageError(
            f"--device {name} is not available",
            why=f"this installation of PyTorch {torch.__version__} finds no {name} device",
            fix="use --device auto, or install a build of PyTorch for it",
        )
    return torch.device(name)


def describe_device(device: torch.device) -> str:
    """Return the type of a device, with the name of the card for CUDA."""
    if device.type != "cuda":
        return device.type
    return f"{device.type} ({torch.cuda.get_device_name(device)})"


def prepare(config: TrainConfig) -> tuple[torch.device, torch.dtype]:
    """Set threads, memory and kernels; return the device and the type of matrix products."""
    if config.threads != "auto":
        torch.set_num_threads(config.threads)
    device = resolve_device(config.device)
    if device.type == "cpu":
        keep_freed_memory()
    if device.type == "cuda":
        # Otherwise the gradients of convolutions are added up in any order, and a resumed run would
        # not end at the same bits. Networks of one's own may have convolutions, too.
        torch.backends.cudnn.deterministic = True
    return device, resolve_precision(config.precision, device)
