"""Where and how to compute: device, precision, threads, and memory that is kept."""

import ctypes
import sys
from contextlib import AbstractContextManager

import torch

from elboroom.config import Device, Precision, TrainConfig
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


def resolve_precision(name: Precision, device: torch.device) -> torch.dtype:
    """The type of matrix products: bfloat16 where `auto` finds that the hardware multiplies it."""
    if name == "auto":
        return torch.bfloat16 if _multiplies_bfloat16(device) else torch.float32
    return torch.bfloat16 if name == "bf16" else torch.float32


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        features = torch.cpu.get_capabilities()
        return bool(features.get("amx_bf16") or features.get("avx512_bf16"))
    return False


def autocast(dtype: torch.dtype, device: torch.device) -> AbstractContextManager[object]:
    """Matrix products in `dtype`; weights, sums and densities stay float32."""
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)


def prepare(config: TrainConfig) -> tuple[torch.device, torch.dtype]:
    """Set the threads, keep freed memory, and return the device and the type of products."""
    if config.threads != "auto":
        torch.set_num_threads(config.threads)
    device = resolve_device(config.device)
    if device.type == "cpu":
        keep_freed_memory()
    return device, resolve_precision(config.precision, device)


def keep_freed_memory() -> None:
    """Let glibc keep large freed blocks instead of giving them back to the kernel.

    A training step frees and allocates the same megabytes of gradients each time; taking them from
    the kernel anew costs a page fault every 4 KiB, a fifth of a step of the reference model.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        trim_threshold, mmap_threshold, keep = -1, -3, 1 << 30
        mallopt(trim_threshold, keep)
        mallopt(mmap_threshold, keep)
