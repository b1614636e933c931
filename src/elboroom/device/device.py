"""Where and how to compute: device, precision, threads, and memory that is kept."""

import torch

from elboroom.config import Device, TrainConfig
from elboroom.device.memory import keep_freed_memory
from elboroom.device.precision import resolve_precision
from elboroom.errors import UsageError


def resolve_device(name: Device) -> torch.device:
    """The torch device that `name` means here.

    Raises:
        UsageError: a device was named that this machine does not have.
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
    """Its type, and the name of the card where it is one."""
    if device.type != "cuda":
        return device.type
    return f"{device.type} ({torch.cuda.get_device_name(device)})"


def prepare(config: TrainConfig) -> tuple[torch.device, torch.dtype]:
    """Set the threads, keep freed memory, and return the device and the type of products."""
    if config.threads != "auto":
        torch.set_num_threads(config.threads)
    device = resolve_device(config.device)
    if device.type == "cpu":
        keep_freed_memory()
    return device, resolve_precision(config.precision, device)
