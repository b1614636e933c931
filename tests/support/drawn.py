"""Pixels of a canvas by their colours, which are those of the light theme."""

import torch
from torch import Tensor

ACCENT = 15, 92, 151
_MARK = 194, 65, 12
_OUTER_CONTOUR = 78, 115, 147


def places(drawn: Tensor) -> Tensor:
    """Return x to the right and y upwards of the pixels where (H, W) is true, (N, 2)."""
    y, x = drawn.nonzero().double().unbind(1)
    return torch.stack([x, -y], 1)


def coloured(tones: Tensor, colour: tuple[int, int, int]) -> Tensor:
    """Return where the tones, (3, H, W), are nearly a colour, (H, W)."""
    return ((tones.int() - torch.tensor(colour)[:, None, None]).abs() < 24).all(0)


def ellipse(tones: Tensor) -> Tensor:
    """Return the pixels of the ellipses of one and two standard deviations."""
    return places(coloured(tones, _MARK))


def shell(tones: Tensor) -> Tensor:
    """Return the pixels of the heat map 0.5 to 2.5 nats below the maximum."""
    red, green, blue = tones.int()
    return places((red < 64) & (green > 90) & (blue > 150))


def outer_contours(tones: Tensor) -> Tensor:
    """Return pixels of the outer contours, which lie where the heat map is pale."""
    return places(coloured(tones, _OUTER_CONTOUR))
