"""Completions: the unseen part of images, filled in from the part that was seen."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from elboroom.figures.plots.arrays import Array, Values, as_array
from elboroom.figures.plots.checks import (
    require_images,
    require_mask,
    require_methods,
    require_names,
    require_shape,
)
from elboroom.figures.plots.mosaic import LABEL, NAME_WIDTH, show_rows
from elboroom.figures.plots.style import GREY, styled
from elboroom.figures.plots.tones import Tones, ValueRange

# Opacity of the tint over pixels that the model filled in, by the number of channels. On RGB a tint
# would look like part of the image.
FILLED_IN_OPACITY = {1: 0.25, 3: 0.0}
NAME = 1.05  # inches: width of the names of methods

Filled = tuple[Array, Array]
"""The mean and the draws of one method."""


@styled
def completion(
    images: Values,
    masks: Values,
    mean: Values,
    draws: Values,
    *,
    names: Sequence[str] | None = None,
    caption: str | None = None,
    value_range: ValueRange | None = None,
) -> Figure:
    """Draw one column per image: what was seen, its completions, and the original.

    Seen pixels always come from `images`. Unseen pixels are a flat tint in the row "seen". A faint
    tint marks the pixels that the model filled in, if the images are grey. Pixels that are missing
    in the data, NaN in `images`, count as unseen, and are tinted in the original, too.

    Args:
        images: `(P, C, H, W)`, the originals.
        masks: `(P, C, H, W)` bool, True = seen.
        mean: `(P, C, H, W)`: the mean of p(unseen | seen). Its seen pixels are not used.
        draws: `(S, P, C, H, W)`: draws from p(unseen | seen). Their seen pixels are not used.
        names: P names, each below its column; none if None.
        caption: a line above the figure, for example on the method.
        value_range: the values of black and white, as in `samples`.

    Raises:
        UsageError: if these are not images or a mask, or their shapes differ.

    Example:
        >>> filled = infer.complete(model, x, mask, posterior, draws=2, generator=generator)
        >>> x.shape, filled.mean.shape, filled.draws.shape
        (torch.Size([3, 1, 28, 28]), torch.Size([3, 1, 28, 28]), torch.Size([2, 3, 1, 28, 28]))
        >>> figure = figures.completion(x, mask.expand(x.shape), filled.mean, filled.draws)
        >>> figure.savefig("completion.png")
    """
    images, masks = _originals(images, masks, names)
    filled = _filled("", images, masks, (mean, draws))
    tones = Tones.of(value_range, images, *filled)
    tiles, labels = _tiles(tones, filled, masks)
    sheet = np.stack([tones.rgb(images, ~masks), *tiles, tones.rgb(images)])
    rows = ["seen", *labels, "original"]
    figure, _ = show_rows(sheet, rows, tones, names=names, caption=caption)
    return figure


@styled
def completions(
    images: Values,
    masks: Values,
    methods: Mapping[str, tuple[Values, Values]],
    *,
    names: Sequence[str] | None = None,
    caption: str | None = None,
    value_range: ValueRange | None = None,
) -> Figure:
    """Draw one column per image: what was seen, the completions of each method, and the original.

    Pixels are tinted as in `completion`.

    Args:
        images: `(P, C, H, W)`, the originals.
        masks: `(P, C, H, W)` bool, True = seen.
        methods: by the name of a method, its mean `(P, C, H, W)` and draws `(S, P, C, H, W)`, as
            for `completion`. S may differ.
        names: P names, each below its column; none if None.
        caption: a line above the figure.
        value_range: the values of black and white, as in `samples`.

    Raises:
        UsageError: if these are not images or a mask, their shapes differ, or there is no method.

    Example:
        >>> guess = infer.encoder(model, x, mask, generator=generator)
        >>> options = {"draws": 2, "generator": generator}
        >>> a, b = (infer.complete(model, x, mask, fit, **options) for fit in (guess, posterior))
        >>> a.mean.shape, a.draws.shape
        (torch.Size([3, 1, 28, 28]), torch.Size([2, 3, 1, 28, 28]))
        >>> methods = {"encoder": (a.mean, a.draws), "laplace": (b.mean, b.draws)}
        >>> figures.completions(x, mask.expand(x.shape), methods).savefig("completions.png")
    """
    images, masks = _originals(images, masks, names)
    require_methods("methods", methods)
    filled = {name: _filled(name, images, masks, pair) for name, pair in methods.items()}
    tones = Tones.of(value_range, images, *(array for pair in filled.values() for array in pair))
    tiles, labels, starts = [tones.rgb(images, ~masks)], ["seen"], {}
    for name, pair in filled.items():
        starts[name] = len(tiles)
        more, numbered = _tiles(tones, pair, masks)
        tiles, labels = [*tiles, *more], [*labels, *numbered]
    sheet, rows = np.stack([*tiles, tones.rgb(images)]), [*labels, "original"]
    margin = LABEL + NAME
    figure, axes = show_rows(sheet, rows, tones, margin=margin, names=names, caption=caption)
    _name_methods(figure, axes, starts, len(tiles))
    return figure


def _originals(images: Values, masks: Values, names: Sequence[str] | None) -> tuple[Array, Array]:
    """Check the originals, and return them with what is seen of them."""
    images, masks = as_array("images", images), as_array("masks", masks)
    require_images("images", images, "P")
    require_mask("masks", masks, images)
    require_names("names", names, len(images))
    return images, masks & ~np.isnan(images)


def _filled(method: str, images: Array, masks: Array, pair: tuple[Values, Values]) -> Filled:
    """Check the mean and the draws of one method, and put the seen pixels into them."""
    prefix = f'methods["{method}"]: ' if method else ""
    mean, draws = (
        as_array(f"{prefix}{n}", v) for n, v in zip(("mean", "draws"), pair, strict=True)
    )
    require_shape(f"{prefix}mean", mean, images.shape, "P, C, H, W")
    require_images(f"{prefix}draws", draws, "S, P")
    require_shape(f"{prefix}draws", draws, (len(draws), *images.shape), "S, P, C, H, W")
    return np.where(masks, images, mean), np.where(masks, images, draws)


def _tiles(tones: Tones, filled: Filled, masks: Array) -> tuple[list[Array], list[str]]:
    """Return the rows of one method, each `(P, H, W, 3)`, and their labels."""
    mean, draws = filled
    images = np.concatenate([mean[None], draws])
    filled_in = np.broadcast_to(~masks, images.shape)
    tiles = tones.rgb(images, filled_in, opacity=FILLED_IN_OPACITY[images.shape[-3]])
    return [*tiles], ["mean", *(f"draw {s}" for s in range(1, len(draws) + 1))]


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
