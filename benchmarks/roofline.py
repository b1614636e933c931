"""The time that a training epoch would take if it consisted of matrix products alone."""

import time
from itertools import pairwise

import torch

from benchmarks.side_by_side import Setting

_SECONDS = 0.5
_PIXELS = 784


def operations(setting: Setting) -> float:
    """Count the floating-point operations of an epoch's products, forward and backward."""
    encoder = [_PIXELS, *setting.hidden, 2 * setting.latents]
    decoder = [setting.latents, *setting.hidden[::-1], _PIXELS]
    of_encoder, of_decoder = (sum(a * b for a, b in pairwise(w)) for w in (encoder, decoder))
    pixels_need_no_gradient = encoder[0] * encoder[1]
    products = 3 * (of_encoder + setting.particles * of_decoder) - pixels_need_no_gradient
    return 2.0 * setting.images * products


def rate(setting: Setting, dtype: torch.dtype) -> float:
    """Measure the operations a second of the largest product of a step, the best of many."""
    rows, width = setting.batch * setting.particles, setting.hidden[0]
    a, b = torch.randn(rows, width).to(dtype), torch.randn(width, _PIXELS).to(dtype)
    best, end = float("inf"), time.perf_counter() + _SECONDS
    while time.perf_counter() < end:
        clock = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - clock)
    return 2.0 * rows * width * _PIXELS / best
