"""Grey levels → binary pixels. The way it is done is part of the data's identity."""

import math
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

_SEED = 20131220  # arXiv:1312.6114 was submitted on 20 December 2013
_PERIOD = 1 << 128  # of PCG64, which goes back by going round


def threshold(x: Tensor, white: float = 1.0) -> Tensor:
    """1 where x > 0.5 of `white`, which stands for 1, else 0; uint8, shaped like `x`."""
    half = int(white // 2) if x.dtype == torch.uint8 else 0.5 * white  # bytes compare as bytes
    return (x > half).view(torch.uint8)


def draw_once(x: Tensor, *, stream: int, start: int = 0) -> Tensor:
    """One Bernoulli(x) draw from a fixed seed; uint8, shaped like `x`.

    The bits come from PCG64 itself, whose stream NumPy keeps the same in every version, so the
    drawn set is the same everywhere and forever. `stream` tells train (0) from test (1); `start`
    is the row of its part that `x` (N, *event) begins with.
    """
    return draw_rows(x, np.arange(start, start + len(x)), stream=stream)


def draw_rows(x: Tensor, rows: np.ndarray, *, stream: int) -> Tensor:
    """What `draw_once` draws at these `rows` (B,) of their part, for `x` (B, *event)."""
    bits = np.empty((len(rows), math.prod(x.shape[1:])), dtype=np.uint64)
    source, pixels, now = np.random.PCG64([_SEED, stream]), bits.shape[1], 0
    firsts = np.flatnonzero(np.diff(rows, prepend=-2) != 1).tolist()  # of runs of rows
    for first, end in pairwise([*firsts, len(rows)]):
        run, row = bits[first:end].reshape(-1), int(rows[first])
        run[:] = source.advance((row * pixels - now) % _PERIOD).random_raw(run.size)
        now = row * pixels + run.size
    uniforms = torch.from_numpy((bits >> np.uint64(40)).astype(np.float32) * 2.0**-24)
    return (uniforms.view(x.shape) < x).to(torch.uint8)


def draw(x: Tensor, generator: torch.Generator) -> Tensor:
    """A fresh Bernoulli(x) draw; float, shaped like `x`."""
    uniforms = torch.rand(x.shape, generator=generator, device=x.device)
    return (uniforms < x).to(x.dtype)
