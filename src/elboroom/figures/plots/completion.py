"""Completions: the unseen part of images, filled in from the part that was seen."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from elboroom.figures.plots.checks import (
    require_images,
    require_mask,
    require_methods,
    require_shape,
)
from elboroom.figures.plots.mosaic import gap_of, show_mosaic
from elboroom.figures.plots.style import GREY, TEXT_WIDTH, Array, new_figure, rgb, styled

# Opacity of the tint over pixels that the model filled in, by the number of channels. On RGB a tint
# would look like part of the image.
FILLED_IN_OPACITY = {1: 0.25, 3: 0.0}
PAGE = 8.6  # inches: the height of a page, for all rows
LABEL = 0.5  # inches: width of the labels of rows
NAME, NAME_WIDTH = 1.05, 14  # inches and characters: width of the names of methods


@styled
def completion(images: Array, masks: Array, mean: Array, draws: Array) -> Figure:
    """Draw one column per image: what was seen, its completions, and the original.

    Seen pixels always come from `images`. Unseen pixels are a flat tint in the row "seen". A faint
    tint marks the pixels that the model filled in, if the images are grey.

    Args:
        images: `(P, C, H, W)` in [0, 1], the originals.
        masks: `(P, C, H, W)` bool, True = seen.
        mean: `(P, C, H, W)` in [0, 1]: the mean of p(unseen | seen). Its seen pixels are not used.
        draws: `(S, P, C, H, W)` in [0, 1]: draws from p(unseen | seen). Their seen
            pixels are not used.

    Raises:
        UsageError: if these are not images or a mask, or their shapes differ.
    """
    _require_originals(images, masks)
    tiles, labels = _filled("", images, masks, mean, draws)
    figure, _ = _sheet([rgb(images, ~masks), *tiles, rgb(images)], ["seen", *labels, "original"])
    return figure


@styled
def completions(images: Array, masks: Array, methods: Mapping[str, tuple[Array, Array]]) -> Figure:
    """Draw one column per image: what was seen, the completions of each method, and the original.

    Pixels are tinted as in `completion`.

    Args:
        images: `(P, C, H, W)` in [0, 1], the originals.
        masks: `(P, C, H, W)` bool, True = seen.
        methods: by the name of a method, its mean `(P, C, H, W)` and draws `(S, P, C, H, W)` in
            [0, 1], as for `completion`. S may differ.

    Raises:
        UsageError: if these are not images or a mask, their shapes differ, or there is no method.
    """
    _require_originals(images, masks)
    require_methods("methods", methods)
    tiles, labels, starts = [rgb(images, ~masks)], ["seen"], {}
    for name, (mean, draws) in methods.items():
        starts[name] = len(tiles)
        more, numbered = _filled(name, images, masks, mean, draws)
        tiles, labels = [*tiles, *more], [*labels, *numbered]
    figure, axes = _sheet([*tiles, rgb(images)], [*labels, "original"], LABEL + NAME)
    _name_methods(figure, axes, starts, len(tiles))
    return figure


def _require_originals(images: Array, masks: Array) -> None:
    require_images("images", images, "P")
    require_mask("masks", masks, images)


def _filled(
    method: str, images: Array, masks: Array, mean: Array, draws: Array
) -> tuple[list[Array], list[str]]:
    """Return the rows of one method, each `(P, H, W, 3)`, and their labels."""
    prefix = f'methods["{method}"]: ' if method else ""
    require_shape(f"{prefix}mean", mean, images.shape, "P, C, H, W")
    require_images(f"{prefix}draws", draws, "S, P")
    require_shape(f"{prefix}draws", draws, (len(draws), *images.shape), "S, P, C, H, W")
    filled = np.where(masks, images, np.concatenate([mean[None], draws]))
    filled_in = np.broadcast_to(~masks, filled.shape)
    tiles = rgb(filled, filled_in, opacity=FILLED_IN_OPACITY[images.shape[1]])
    return [*tiles], ["mean", *(f"draw {s}" for s in range(1, len(draws) + 1))]


def _sheet(tiles: list[Array], labels: list[str], margin: float = LABEL) -> tuple[Figure, Axes]:
    """Show rows of tiles `(P, H, W, 3)`, each with a label in a margin of `margin` inches."""
    sheet = np.stack(tiles)
    rows, columns, height, width, _ = sheet.shape
    tile = min(0.75, (TEXT_WIDTH - margin) / columns, PAGE * width / height / rows)
    figure = new_figure(columns * tile + margin, rows * tile * height / width + 0.1)
    axes = figure.subplots()
    show_mosaic(axes, sheet, gap_of(sheet))
    axes.set_yticks(range(rows), labels)
    return figure, axes


def _name_methods(figure: Figure, axes: Axes, starts: Mapping[str, int], end: int) -> None:
    """Write the name of each method at its rows, and separate methods by lines.

    Args:
        figure: the figure.
        axes: axes whose rows are tiles.
        starts: by the name of a method, its first row.
        end: the row after the last method.
    """
    ends = [*starts.values(), end]
    for (name, start), stop in zip(starts.items(), ends[1:], strict=True):
        place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
        text, centre = textwrap.fill(name, NAME_WIDTH), (start + stop - 1) / 2
        axes.annotate(text, (0, centre), (-72 * LABEL, 0), ha="right", va="center", **place)
    across = axes.get_yaxis_transform()  # x is a fraction of the axes, y is a row
    left = -(LABEL + NAME) / (figure.get_figwidth() - LABEL - NAME)
    for row in ends:
        y = row - 0.5
        axes.add_artist(
            Line2D([left, 1], [y, y], color=GREY, lw=0.5, transform=across, clip_on=False)
        )
