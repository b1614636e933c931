"""Flips and shifts of training images, drawn anew at every visit."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.config import TrainConfig
from elboroom.config.checks import require
from elboroom.data.source import noun
from elboroom.errors import UsageError
from elboroom.randomness import uniforms


@dataclass(frozen=True)
class Augmentation:
    """Random flips and shifts of pictures; missing values move along with the others.

    Attributes:
        flip: mirror left to right with probability ½.
        shift: the most pixels that a picture is shifted by, up or down and left or right.
    """

    flip: bool = False
    shift: int = 0

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Move the pixels of pictures (B, C, H, W), each picture by draws of its own."""
        if not (self.flip or self.shift):
            return x
        rows, columns = (self._places(x, side, generator) for side in x.shape[2:])
        if self.flip:
            flipped = uniforms((len(x), 1), x, generator) < 0.5
            columns = torch.where(flipped, columns.flip(1), columns)
        # x'[i, j] = x[rows[i], columns[j]]
        places = (rows[:, :, None] * x.shape[3] + columns[:, None, :]).view(len(x), 1, -1)
        return x.flatten(2).gather(2, places.expand(-1, x.shape[1], -1)).view_as(x)

    def _places(self, x: Tensor, side: int, generator: torch.Generator) -> Tensor:
        """Return the row (or column) that each one is taken from, (B, side), after a shift."""
        places = torch.arange(side, device=x.device).expand(len(x), side)
        if not self.shift:
            return places
        shape, far = (len(x), 1), self.shift
        by = torch.randint(-far, far + 1, shape, generator=generator, device=generator.device)
        return (places - by).clamp(0, side - 1)


def require_pictures(config: TrainConfig, event_shape: tuple[int, ...]) -> None:
    """Check that flips and shifts are of pictures, and leave something of them.

    Raises:
        UsageError: if they are not.
    """
    if not (config.flip or config.shift):
        return
    if noun(event_shape) != "image":
        option = "--flip" if config.flip else f"--shift {config.shift}"
        raise UsageError(
            f"{option} cannot be used with these data",
            why=f"found rows of shape {event_shape}; expected pictures (channels, height, width), "
            "whose pixels have neighbours",
            fix="leave --flip and --shift out",
        )
    least = min(event_shape[1:])
    expected = f"less than the shorter side of the pictures, {least}"
    require(config.shift < least, "shift", config.shift, expected)
