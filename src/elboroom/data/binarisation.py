"""Grey levels → binary pixels. The way it is done is part of the data's identity."""

import math

import numpy as np
import torch
from torch import Tensor

_SEED = 20131220  # arXiv:1312.6114 was submitted on 20 December 2013


def threshold(x: Tensor) -> Tensor:
    """1 where x > 0.5, else 0; uint8, shaped like `x`."""
    return (x > 0.5).to(torch.uint8)


def draw_once(x: Tensor, *, stream: int, start: int = 0) -> Tensor:
    """One Bernoulli(x) draw from a fixed seed; uint8, shaped like `x`.

    The bits come from PCG64 itself, whose stream NumPy keeps the same in every version, so the
    drawn set is the same everywhere and forever. `stream` tells train (0) from test (1); `start`
    is the row of its part that `x` (N, *event) begins with.
    """
    skipped = start * math.prod(x.shape[1:])
    bits = np.random.PCG64([_SEED, stream]).advance(skipped).random_raw(x.numel())
    uniforms = torch.from_numpy((bits >> np.uint64(40)).astype(np.float32) * 2.0**-24)
    return (uniforms.view(x.shape) < x).to(torch.uint8)


def draw(x: Tensor, generator: torch.Generator) -> Tensor:
    """A fresh Bernoulli(x) draw; float, shaped like `x`."""
    uniforms = torch.rand(x.shape, generator=generator, device=x.device)
    return (uniforms < x).to(x.dtype)
