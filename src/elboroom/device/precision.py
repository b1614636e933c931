"""The type of matrix products, and the context that sets it."""

from contextlib import AbstractContextManager

import torch

from elboroom.config import Precision


def resolve_precision(name: Precision, device: torch.device) -> torch.dtype:
    """Return the type of matrix products; `auto` is bfloat16 if the hardware multiplies it."""
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
    """Compute matrix products in `dtype` in this block; weights, sums, densities stay float32."""
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)
