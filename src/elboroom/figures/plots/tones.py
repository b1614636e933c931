"""Tones: the map from the values of images to black, white and the greys or colours between."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure

from elboroom.errors import UsageError
from elboroom.figures.plots.arrays import Array
from elboroom.figures.plots.style import SMALL, bare, wrapped

UNSEEN = "#F7D08A"  # light, and distinct from every grey
BAR = 0.22  # inches: height of the colour bar with its numbers
LINE = 0.15  # inches: height of a line of its note
PERCENTILES = (1, 99)

ValueRange = tuple[float, float]


@dataclass(frozen=True)
class Tones:
    """The map from values to tones that all images of a figure share.

    Attributes:
        low: the value that is black.
        high: the value that is white.
        note: what the two values are; empty if they are 0 and white, which need no colour bar.
    """

    low: float = 0.0
    high: float = 1.0
    note: str = ""

    @classmethod
    def of(cls, value_range: ValueRange | None, *images: Array) -> Tones:
        """Return the tones of all `images` that a figure shows.

        Args:
            value_range: the values of black and white; None decides by the images. Values in [0, 1]
                are shown as they are, bytes from 0 to 255, and other values from their 1st to their
                99th percentile.
            images: arrays of any shape, NaN where a pixel is missing.

        Raises:
            UsageError: if the range is not two finite numbers that increase.
        """
        if value_range is not None:
            return cls._of_range(value_range)
        shown = [array[np.isfinite(array)] for array in images]
        values = np.concatenate([array.astype(np.float64) for array in shown])
        if not values.size or (values.min() >= 0 and values.max() <= 1):
            return cls()
        if all(array.dtype == np.uint8 for array in images):
            return cls(0.0, 255.0)
        return cls._of_values(values)

    @classmethod
    def _of_range(cls, value_range: ValueRange) -> Tones:
        low, high = (float(end) for end in value_range)
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise UsageError(
                f"value_range: expected finite (low, high) with low < high, found {value_range}",
                why="low is drawn black, and high white",
                fix="pass them in that order, or None",
            )
        return cls(low, high, "" if (low, high) == (0.0, 1.0) else "values of black and white")

    @classmethod
    def _of_values(cls, values: Array) -> Tones:
        low, high = np.percentile(values, PERCENTILES)
        if low < high:
            return cls(low, high, "black and white: 1st and 99th percentile of the values shown")
        low, high = values.min(), values.max()
        if low < high:
            return cls(low, high, "black and white: smallest and largest value shown")
        margin = abs(low) / 2 or 0.5
        return cls(low - margin, low + margin, "all values shown are equal")

    def rgb(self, images: Array, unseen: Array | None = None, *, opacity: float = 1.0) -> Array:
        """Convert images to RGB, and tint pixels that are missing or `unseen`.

        Args:
            images: `(..., C, H, W)`, C = 1 (grey) or 3 (RGB). Values beyond black and white are
                clipped. A pixel is missing where any of its channels is NaN.
            unseen: `(..., C, H, W)` bool; a pixel is tinted when any of its channels is unseen.
            opacity: opacity of the tint over unseen pixels; 1 hides the pixel. Missing pixels are
                always hidden.

        Returns:
            `(..., H, W, 3)` in [0, 1].
        """
        missing = np.any(np.isnan(images), axis=-3)[..., None]
        channels_last = np.moveaxis(np.clip(self._unit(images), 0.0, 1.0), -3, -1)
        colours = np.broadcast_to(channels_last, (*channels_last.shape[:-1], 3))
        if unseen is not None:
            weight = opacity * np.any(unseen, axis=-3)[..., None]
            colours = (1 - weight) * colours + weight * np.asarray(to_rgb(UNSEEN))
        return np.where(missing, np.asarray(to_rgb(UNSEEN)), colours) if missing.any() else colours

    def _unit(self, images: Array) -> Array:
        if (self.low, self.high) == (0.0, 1.0):
            return images
        return (images.astype(np.float64) - self.low) / (self.high - self.low)

    def bar_height(self, width: float) -> float:
        """Return the inches that the colour bar adds to a figure of `width` inches."""
        return BAR + LINE * len(wrapped(self.note, width)) if self.note else 0.0

    def add_bar(self, figure: Figure, axes: Sequence[Axes]) -> None:
        """Add a colour bar below `axes`, unless black is 0 and white needs no number."""
        if not self.note:
            return
        tones = ScalarMappable(Normalize(self.low, self.high), "gray")
        width = figure.get_figwidth()
        bar = figure.colorbar(tones, ax=axes, location="bottom", fraction=0.05, aspect=12 * width)
        bar.set_ticks([self.low, self.high], labels=_distinct(self.low, self.high))
        bar.set_label("\n".join(wrapped(self.note, width)), fontsize=SMALL)

    def show(self, axes: Axes, image: Array, mask: Array | None = None) -> None:
        """Show one image `(C, H, W)` without ticks, tinted where `mask` `(C, H, W)` is False."""
        axes.imshow(self.rgb(image, None if mask is None else ~mask))
        bare(axes)


def _distinct(low: float, high: float) -> list[str]:
    """Format the two ends with three digits of their difference."""
    magnitude = max(abs(low), abs(high), high - low)
    digits = 3 + math.floor(math.log10(magnitude)) - math.floor(math.log10(high - low))
    return [f"{end:.{min(digits, 15)}g}".replace("-", "−") for end in (low, high)]
