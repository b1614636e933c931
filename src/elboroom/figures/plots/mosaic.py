"""Mosaics: many images of one size in one picture, so that their pixels line up."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from elboroom.figures.plots.arrays import Array
from elboroom.figures.plots.style import (
    CHARACTER,
    TEXT_WIDTH,
    bare,
    caption_height,
    new_figure,
    write_caption,
)
from elboroom.figures.plots.tones import Tones

PAGE = 8.6  # inches: the height of a page, for all rows
LABEL = 0.5  # inches: width of the labels of rows
STEP_LABEL = 0.3  # inches: width of the label of a column
NAME_WIDTH = 14  # characters of a name beside a row


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


def show_rows(
    tiles: Array,
    labels: Sequence[str],
    tones: Tones,
    *,
    margin: float = LABEL,
    names: Sequence[str] | None = None,
    caption: str | None = None,
) -> tuple[Figure, Axes]:
    """Make a figure of rows of images, one column per image.

    Args:
        tiles: `(R, P, H, W, 3)`.
        labels: R labels, at the left in a margin of `margin` inches.
        tones: the tones of the images.
        margin: the width of that margin.
        names: P names of one line or several, each below its column.
        caption: a line above the figure.
    """
    rows, columns, height, width, _ = tiles.shape
    tile = min(0.75, (TEXT_WIDTH - margin) / columns, PAGE * width / height / rows)
    across = columns * tile + margin
    down = rows * tile * height / width + (0.1 if names is None else 0.3)
    down += 0.15 * max((name.count("\n") for name in names or ()), default=0)
    down += tones.bar_height(across) + caption_height(caption, across)
    figure = new_figure(across, down)
    axes = figure.subplots()
    show_mosaic(axes, tiles, gap_of(tiles))
    axes.set_yticks(range(rows), labels)
    if names is not None:
        room = max(3, int(tile / CHARACTER))
        axes.set_xticks(range(columns), [_shortened_lines(name, room) for name in names])
    write_caption(figure, caption)
    tones.add_bar(figure, [axes])
    return figure, axes


def _shortened_lines(name: str, room: int) -> str:
    return "\n".join(shortened(line, room) for line in name.split("\n"))


def show_walks(
    walks: Array,
    steps: Sequence[str],
    names: Sequence[str],
    tones: Tones,
    caption: str | None,
) -> tuple[Figure, Axes]:
    """Make a figure of walks `(R, T, C, H, W)` in latent space, one row each.

    Args:
        walks: the decoded images.
        steps: T labels of the columns; those that find no room are left out.
        names: R labels of the rows.
        tones: the tones of the images.
        caption: a line above the figure.
    """
    tiles = tones.rgb(walks)
    rows, columns, height, width, _ = tiles.shape
    tile = min(0.75, (TEXT_WIDTH - 0.7) / columns)
    across = columns * tile + 0.7
    down = rows * tile * height / width + 0.45
    figure = new_figure(across, down + tones.bar_height(across) + caption_height(caption, across))
    axes = figure.subplots()
    show_mosaic(axes, tiles, gap_of(tiles))
    labelled = range(0, columns, _stride(columns, tile))
    axes.set_xticks(labelled, [steps[step] for step in labelled])
    axes.set_yticks(range(rows), [shortened(name, 2 * NAME_WIDTH) for name in names])
    write_caption(figure, caption)
    tones.add_bar(figure, [axes])
    return figure, axes


def shortened(name: str, room: int) -> str:
    """Shorten a name to `room` characters, with an ellipsis between its beginning and its end."""
    if len(name) <= room:
        return name
    end = (room - 1) // 2
    return f"{name[: room - 1 - end]}…{name[len(name) - end :]}"


def _stride(steps: int, tile: float) -> int:
    """Return the smallest stride that leaves room for labels and includes both ends."""
    last = steps - 1
    room = lambda stride: stride * tile >= STEP_LABEL or stride == last  # noqa: E731
    return next((s for s in range(1, steps) if last % s == 0 and room(s)), 1)
