"""Random streams. Every draw is a function of the seed and of the purpose it serves.

A run therefore stores no random state: step 1,234 of seed 0 draws the same noise whether or not the
run was interrupted before it.
"""

from collections.abc import Sequence
from hashlib import blake2b

import torch
from torch import Tensor


def stream(
    seed: int, purpose: str, index: int | str = 0, *, device: torch.device | None = None
) -> torch.Generator:
    """Return a generator on `device` (default: cpu) for the `index`-th use of `purpose`.

    PyTorch's CPU generator uses 32 bits of the seed, so among many streams a few may coincide.
    """
    return restart(torch.Generator(device or torch.device("cpu")), seed, purpose, index)


def restart(
    generator: torch.Generator, seed: int, purpose: str, index: int | str = 0
) -> torch.Generator:
    """Make `generator` draw what `stream` of the same key would draw."""
    key = blake2b(f"{seed}/{purpose}/{index}".encode(), digest_size=8).digest()
    return generator.manual_seed(int.from_bytes(key, "little"))


def fork(generator: torch.Generator) -> torch.Generator:
    """Return a child stream for code whose number of draws depends on the number of rows.

    `generator` itself moves by one draw, however many the child makes.
    """
    seed = int(torch.randint(1 << 62, (), generator=generator, device=generator.device))
    return torch.Generator(generator.device).manual_seed(seed)


def normals(shape: Sequence[int], like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw standard normal values of `shape`, with the type and device of `like`."""
    return torch.randn(shape, generator=generator, dtype=like.dtype, device=like.device)


def uniforms(shape: Sequence[int], like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw values uniform in [0, 1) of `shape`, with the type and device of `like`."""
    return torch.rand(shape, generator=generator, dtype=like.dtype, device=like.device)
