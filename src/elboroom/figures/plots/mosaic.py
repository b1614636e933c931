"""Mosaics: many images of one size in one picture, so that their pixels line up."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes

from elboroom.figures.plots.style import Array, bare


def gap_of(tiles: Array) -> int:
    """Return the gap between tiles `(..., H, W, 3)` in pixels: a small share of their size."""
    return max(1, round(max(tiles.shape[-3:-1]) / 14))


def columns_for(count: int, at_most: int) -> int:
    """Return the number of columns that fills the fewest rows most evenly with `count` tiles."""
    return math.ceil(count / math.ceil(count / at_most))


def wrap(tiles: Array, columns: int) -> Array:
    """Arrange tiles `(N, H, W, 3)` as `(R, columns, H, W, 3)`; white fills the last row."""
    rows = math.ceil(len(tiles) / columns)
    sheet = np.ones((rows * columns, *tiles.shape[1:]))
    sheet[: len(tiles)] = tiles
    return sheet.reshape(rows, columns, *tiles.shape[1:])


def join(tiles: Array, gap: int) -> Array:
    """Join tiles `(R, Q, H, W, 3)` into one picture with `gap` white pixels between them."""
    rows, columns, height, width, _ = tiles.shape
    sheet = np.ones((rows, height + gap, columns, width + gap, 3))
    sheet[:, :height, :, :width] = tiles.transpose(0, 2, 1, 3, 4)
    sheet = sheet.reshape(rows * (height + gap), columns * (width + gap), 3)
    return sheet[: sheet.shape[0] - gap, : sheet.shape[1] - gap]


def show_mosaic(axes: Axes, tiles: Array, gap: int) -> None:
    """Show tiles `(R, Q, H, W, 3)`; the tile in row r and column c is centred on x = c, y = r."""
    rows, columns, height, width, _ = tiles.shape
    half_x, half_y = 0.5 * width / (width + gap), 0.5 * height / (height + gap)
    axes.imshow(
        join(tiles, gap),
        extent=(-half_x, columns - 1 + half_x, rows - 1 + half_y, -half_y),
        aspect=(height + gap) / (width + gap),
    )
    bare(axes)
