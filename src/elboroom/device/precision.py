"""The type of matrix products, and how it is switched on."""

from contextlib import AbstractContextManager

import torch

from elboroom.config import Precision


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
