"""Flips, shifts, rotations and zooms of training images, drawn anew at every visit."""

import math
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
    """Random moves of the pixels of pictures; missing values move along with the others.

    Each pixel takes the value of the nearest one at the place that it came from, or of the nearest
    edge. Values between two pixels would be none of the data: bytes and bits stay what they are,
    and no value is invented from missing ones.

    Attributes:
        flip: mirror left to right with probability ½.
        shift: the most pixels that a picture is shifted by, up or down and left or right.
        rotate: the most degrees that a picture is turned by, about its centre, either way.
        zoom: the largest share by which a picture grows or shrinks.
    """

    flip: bool = False
    shift: int = 0
    rotate: float = 0.0
    zoom: float = 0.0

    @classmethod
    def of(cls, config: TrainConfig) -> "Augmentation":
        """Return the moves that some options of training ask for."""
        return cls(config.flip, config.shift, config.rotate, config.zoom)

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Move the pixels of pictures (B, C, H, W), each picture by draws of its own."""
        if self == Augmentation():
            return x
        rows, columns = (self._shifted(x, side, generator) for side in x.shape[2:])
        if self.flip:
            flipped = uniforms((len(x), 1), x, generator) < 0.5
            columns = torch.where(flipped, columns.flip(1), columns)
        rows, columns = rows[:, :, None], columns[:, None, :]
        if self.rotate or self.zoom:
            angle = math.radians(self.rotate) * _between(x, generator)
            rows, columns = turned(rows, columns, angle, 1 + self.zoom * _between(x, generator))
        return taken(x, rows, columns)

    def _shifted(self, x: Tensor, side: int, generator: torch.Generator) -> Tensor:
        """Return the row (or column) that each one comes from by a shift, (B, side)."""
        places = torch.arange(side, device=x.device).expand(len(x), side)
        if not self.shift:
            return places
        shape, far = (len(x), 1), self.shift
        by = torch.randint(-far, far + 1, shape, generator=generator, device=generator.device)
        return places - by


def _between(x: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a number of each row, uniform in [−1, 1), (B, 1, 1)."""
    return 2 * uniforms((len(x), 1, 1), x, generator) - 1


def turned(rows: Tensor, columns: Tensor, angle: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Return the places that pixels come from by a rotation and a zoom about the centre.

    Args:
        rows: the row of each pixel, (B, H, 1).
        columns: its column, (B, 1, W).
        angle: radians, clockwise where rows count downwards, (B, 1, 1).
        scale: the factor of the size, (B, 1, 1).

    Returns:
        Rows and columns, each (B, H, W), rounded to the nearest.
    """
    middle, centre = (rows.shape[1] - 1) / 2, (columns.shape[2] - 1) / 2
    down, right = rows - middle, columns - centre
    # (down, right) = R(−angle) (down, right) / scale
    cos, sin = angle.cos() / scale, angle.sin() / scale
    places = cos * down - sin * right + middle, sin * down + cos * right + centre
    return places[0].round().long(), places[1].round().long()


def taken(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return pictures (B, C, H, W) whose pixels are those of `x` at some places.

    Args:
        x: (B, C, H, W).
        rows: the row that each pixel is taken from, broadcast to (B, H, W); the nearest one of the
            picture if it is outside.
        columns: the column, in the same way.
    """
    height, width = x.shape[2:]
    # x'[i, j] = x[rows[i, j], columns[i, j]]
    places = rows.clamp(0, height - 1) * width + columns.clamp(0, width - 1)
    index = places.view(len(x), 1, -1).expand(-1, x.shape[1], -1)
    return x.flatten(2).gather(2, index).view_as(x)


def require_pictures(config: TrainConfig, event_shape: tuple[int, ...]) -> None:
    """Check that what is moved are pictures, and that something of them is left.

    Raises:
        UsageError: if they are not.
    """
    if not config.augments:
        return
    if noun(event_shape) != "image":
        raise UsageError(
            f"{_first_option(config)} cannot be used with these data",
            why=f"found rows of shape {event_shape}; expected pictures (channels, height, width), "
            "whose pixels have neighbours",
            fix="leave --flip, --shift, --rotate and --zoom out",
        )
    least = min(event_shape[1:])
    expected = f"less than the shorter side of the pictures, {least}"
    require(config.shift < least, "shift", config.shift, expected)


def _first_option(config: TrainConfig) -> str:
    """Return the first option that moves pictures, with its value."""
    if config.flip:
        return "--flip"
    named = {name: getattr(config, name) for name in ("shift", "rotate", "zoom")}
    return next(f"--{name} {value:g}" for name, value in named.items() if value)
