"""Stages of a convolutional network: one for each halving of a picture's sides."""

from collections.abc import Sequence
from dataclasses import dataclass

from elboroom.config import ModelConfig
from elboroom.errors import UsageError

_SMALL = 8  # pixels: sides are halved until they are this long or shorter
_LARGEST_OF_BLOCKS = 32  # pixels: blocks at higher resolutions would take most of a step


@dataclass(frozen=True)
class Stage:
    """A resolution of the network.

    Attributes:
        channels: number of channels of its feature maps.
        height, width: their size.
    """

    channels: int
    height: int
    width: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width

    @property
    def values(self) -> int:
        """Number of values of a feature map."""
        return self.channels * self.height * self.width

    @property
    def blocks(self) -> int:
        """Number of residual blocks."""
        return int(max(self.size) <= _LARGEST_OF_BLOCKS)


def default_channels(height: int, width: int) -> tuple[int, ...]:
    """Return the channels after each halving of a picture's sides, until both are 8 or less.

    They are 32, and the last two halvings double them: 28 × 28 pixels have 32 channels at 14 × 14
    and 64 at 7 × 7, and 128 × 128 have 32, 32, 64 and 128.
    """
    halvings = max(1, _halvings_until(_SMALL, height, width))
    return (32,) * max(1, halvings - 2) + (64, 128)[: halvings - 1]


def stages_of(config: ModelConfig, shape: tuple[int, ...]) -> list[Stage]:
    """Return the stages of a network for pictures (C, H, W), from the picture to the latents.

    Raises:
        UsageError: events of this shape are no pictures, or `channels` has more widths than their
            sides can be halved.
    """
    if len(shape) != 3:
        raise UsageError(
            "--network conv needs pictures",
            why=f"found rows of shape {shape}; expected (channels, height, width)",
            fix="use --network mlp, gated or residual",
        )
    _, height, width = shape
    channels = default_channels(height, width) if config.channels == "auto" else config.channels
    _require_halvings(channels, height, width)
    stages = list[Stage]()
    for each in channels:
        height, width = -(-height // 2), -(-width // 2)
        stages.append(Stage(each, height, width))
    return stages


def _halvings_until(most: int, height: int, width: int) -> int:
    """Count the halvings of two sides until both are `most` or less."""
    side, count = max(height, width), 0
    while side > most:
        side, count = -(-side // 2), count + 1
    return count


def _require_halvings(channels: Sequence[int], height: int, width: int) -> None:
    """Check that a picture can be halved as often as there are widths.

    Raises:
        UsageError: it has fewer pixels.
    """
    most = max(1, _halvings_until(1, height, width))
    if len(channels) > most:
        raise UsageError(
            f"--channels {' '.join(map(str, channels))} has too many widths",
            why=f"each halves the picture; {height} × {width} pixels can be halved {most} times",
            fix=f"give {most} widths or fewer, or auto",
        )
