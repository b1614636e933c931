"""Sizes of a ladder: its resolutions, and the levels of latents at each."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from elboroom.config import ModelConfig
from elboroom.errors import UsageError
from elboroom.model.networks.stages import Stage, stages_of

_WIDTH = 128  # of a ladder of vectors
_LEVELS_OF_VECTORS = 3
_LARGEST_OF_LEVELS = 16  # pixels: latents at higher resolutions have little to say of a picture
_VALUES = 392  # latents of a level at most, where the config says nothing
_CHANNELS = 8


@dataclass(frozen=True)
class Resolution:
    """Feature maps of one size, with some levels of latents.

    Attributes:
        stage: the size of the maps; a vector is a map of 1 × 1 pixels.
        levels: number of levels.
        latent_channels: number of latents at each pixel of a level.
        blocks: number of blocks of the encoder.
    """

    stage: Stage
    levels: int
    latent_channels: int
    blocks: int

    @property
    def latents(self) -> tuple[int, int, int]:
        """The shape of the latents of a level, (c, h, w)."""
        return self.latent_channels, *self.stage.size

    @property
    def kernel(self) -> int:
        """The side of the kernels of its convolutions."""
        return 3 if max(self.stage.size) > 1 else 1


@dataclass(frozen=True)
class LadderSizes:
    """The resolutions of a ladder, from the data to the top.

    Attributes:
        resolutions: largest first.
        top: number of latents of the top level, a vector.
        is_picture: False for vectors.
    """

    resolutions: tuple[Resolution, ...]
    top: int
    is_picture: bool

    @classmethod
    def of(cls, config: ModelConfig, shape: tuple[int, ...]) -> "LadderSizes":
        """Return the sizes for events, or for parameters, of a shape.

        Raises:
            UsageError: an option has not one number for each resolution, or there is no level.
        """
        is_picture = len(shape) == 3
        stages = stages_of(config, shape) if is_picture else [_vector_stage(config)]
        levels = _each(config, "levels", stages, _levels(stages, is_picture=is_picture))
        channels = _each(config, "level_channels", stages, [_latent_channels(s) for s in stages])
        blocks = _each(config, "blocks", stages, _blocks(stages))
        if not any(levels):
            raise UsageError(
                "--levels has no level below the top",
                why="a ladder without one is a network of one level",
                fix="give a resolution a level, or use --network conv or mlp",
            )
        parts = zip(stages, levels, channels, blocks, strict=True)
        return cls(tuple(Resolution(*part) for part in parts), config.latents, is_picture)

    @property
    def levels(self) -> list[Resolution]:
        """The resolution of each level below the top, in the order of drawing."""
        return [each for each in self.resolutions[::-1] for _ in range(each.levels)]

    @property
    def latents(self) -> tuple[int, ...]:
        """The number of latents of each level, the top first."""
        return self.top, *(math.prod(each.latents) for each in self.levels)


def _vector_stage(config: ModelConfig) -> Stage:
    widths = (_WIDTH,) if config.channels == "auto" else config.channels
    if len(widths) != 1:
        raise UsageError(
            f"--channels {' '.join(map(str, widths))} has {len(widths)} widths",
            why="the data are vectors, which have one resolution",
            fix="give one width, or auto",
        )
    return Stage(widths[0], 1, 1)


def _levels(stages: Sequence[Stage], *, is_picture: bool) -> list[int]:
    """Return one level at each small resolution and two at the smallest; of vectors three."""
    if not is_picture:
        return [_LEVELS_OF_VECTORS]
    found = [int(max(stage.size) <= _LARGEST_OF_LEVELS) for stage in stages]
    return [*found[:-1], 2]


def _latent_channels(stage: Stage) -> int:
    """Return 8 channels, or fewer where pixels are many."""
    return max(1, min(_CHANNELS, _VALUES // (stage.height * stage.width)))


def _blocks(stages: Sequence[Stage]) -> list[int]:
    """Return one block of the encoder at each resolution, and two at the smallest."""
    return [*(1 for _ in stages[:-1]), 2]


def _each(
    config: ModelConfig, option: str, stages: Sequence[Stage], default: list[int]
) -> list[int]:
    """Return the number that an option has for each resolution.

    Raises:
        UsageError: it has more or fewer.
    """
    found = getattr(config, option)
    if found == "auto":
        return default
    if len(found) != len(stages):
        raise UsageError(
            f"--{option.replace('_', '-')} has {len(found)} numbers; expected {len(stages)}",
            why="each is of one resolution, the largest first: "
            + ", ".join(f"{s.height} × {s.width}" for s in stages),
            fix=f"give {len(stages)}, or auto",
        )
    return list(found)


def widest(sizes: LadderSizes, outputs: int) -> int:
    """Return the largest number of values that a layer has for one row."""
    pairs = pairwise(each.stage for each in sizes.resolutions[::-1])
    after_upsampling = [small.channels * math.prod(large.size) for small, large in pairs]
    return max(outputs, *(each.stage.values for each in sizes.resolutions), *after_upsampling)
