"""Grey levels → binary values. The method is part of the data's identity."""

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from elboroom.config import BinarisationName
from elboroom.randomness import coarse_uniforms

_SEED = 20131220  # arXiv:1312.6114 was submitted on 20 December 2013
_PERIOD = 1 << 128  # period of PCG64, which goes back by advancing around it


@dataclass(frozen=True)
class Binarisation:
    """The way from the stored values of one part of the data to the values of a batch.

    `threshold` and `static` make values binary when they are read, `dynamic` draws them again for
    every batch, `none` keeps them. A missing value is NaN before and after.

    Attributes:
        name: the method.
        white: the stored value that stands for 1.
        missing: True if some values are missing.
        stream: stream of the static draws, such as 0 for train and 1 for test.
        start: row of that stream with which the part begins.
    """

    name: BinarisationName = "none"
    white: float = 1.0
    missing: bool = False
    stream: int = 0
    start: int = 0

    @property
    def on_reading(self) -> bool:
        """True if values are binary as soon as they are read."""
        return self.name in ("threshold", "static")

    @property
    def at_every_visit(self) -> bool:
        """True if every batch draws its values again."""
        return self.name == "dynamic"

    def held_out(self, *, stream: int, start: int = 0) -> "Binarisation":
        """Return the method for held-out rows, which are drawn once if they are drawn at all."""
        name = "static" if self.name == "dynamic" else self.name
        return replace(self, name=name, stream=stream, start=start)

    def read(self, values: Tensor, rows: np.ndarray) -> Tensor:
        """Make values binary if that is done when they are read.

        The result of a row depends on that row alone, so that it does not matter how many are read
        together.

        Args:
            values: (B, *event), uint8 or float32.
            rows: their places in the part, (B,).

        Returns:
            (B, *event), uint8; float32 if values are missing or are kept as they are.
        """
        if not self.on_reading:
            return values
        if self.name == "threshold":
            binary = threshold(values, self.white)
        else:
            x = _brightness(values, self.white)
            binary = draw_rows(x, self.start + rows, stream=self.stream)
        return binary.float().masked_fill(values.isnan(), math.nan) if self.missing else binary

    def scale(self, stored: Tensor) -> Tensor:
        """Scale values that `read` returned to float32, in which white is 1."""
        return _brightness(stored, 1.0 if self.on_reading else self.white)

    def visit(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Draw binary values of a batch (B, *event) if that is done at every visit."""
        if not self.at_every_visit:
            return x
        drawn = draw(x, generator)
        return torch.where(x.isnan(), x, drawn) if self.missing else drawn


def threshold(x: Tensor, white: float = 1.0) -> Tensor:
    """Return 1 where x > 0.5 `white`, else 0, as uint8 shaped like `x`."""
    half = int(white // 2) if x.dtype == torch.uint8 else 0.5 * white  # bytes compare as bytes
    return (x > half).view(torch.uint8)


def draw_rows(x: Tensor, rows: np.ndarray, *, stream: int) -> Tensor:
    """Draw Bernoulli(x) once from a fixed seed, as uint8 shaped like `x`.

    The bits come from PCG64 itself. NumPy keeps its stream the same in every version, so the drawn
    set is the same on every machine.

    Args:
        x: probabilities, (B, *event).
        rows: row of the stream that each row of `x` uses, (B,).
        stream: 0 for train, 1 for test.
    """
    bits = np.empty((len(rows), math.prod(x.shape[1:])), dtype=np.uint64)
    source, pixels, now = np.random.PCG64([_SEED, stream]), bits.shape[1], 0
    firsts = np.flatnonzero(np.diff(rows, prepend=-2) != 1).tolist()  # where a run of rows begins
    for first, end in pairwise([*firsts, len(rows)]):
        run, row = bits[first:end].reshape(-1), int(rows[first])
        run[:] = source.advance((row * pixels - now) % _PERIOD).random_raw(run.size)
        now = row * pixels + run.size
    u = torch.from_numpy((bits >> np.uint64(40)).astype(np.float32) * 2.0**-24)
    return (u.view(x.shape) < x).to(torch.uint8)


def draw(x: Tensor, generator: torch.Generator) -> Tensor:
    """Draw Bernoulli(x), as floats shaped like `x`; probabilities are rounded to 16 bits."""
    return (coarse_uniforms(x.shape, x, generator) < x).to(x.dtype)


def _brightness(values: Tensor, white: float) -> Tensor:
    x = values.float()
    return x if white == 1.0 else x.div_(white)  # only bytes have another white: `x` is a copy
