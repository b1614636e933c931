"""The style of all figures: fonts, colours, sizes and layout."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, ParamSpec, TypeAlias

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
P = ParamSpec("P")

TEXT_WIDTH = 6.5  # inches: width of the text on a page
COLUMN_WIDTH = 3.35  # inches: width of one of two columns
SMALL = 7  # points: the smallest font size
MOST_PASSES = 8  # passes of the layout

BLUE, VERMILION = "#0072B2", "#D55E00"  # Okabe & Ito (2008): distinct in every colour vision
GREY = "#5A5A5A"
UNSEEN = "#F7D08A"  # light, and distinct from every grey
PETROFF = (
    # Petroff (2021), arXiv:2107.02270: ten colours optimised for colour-vision deficiencies
    *("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"),
    *("#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"),
)

SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")

STYLE: dict[str, Any] = {
    "figure.dpi": 200,  # also the resolution of pictures inside an SVG
    # matplotlib ships this family, so it is on every machine; "sans-serif" may be another one.
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.title_fontsize": SMALL,
    "legend.frameon": False,
    "legend.handletextpad": 0.5,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.2,
    "svg.hashsalt": "elboroom",  # the ids in an SVG are the same at every save
}


def context() -> AbstractContextManager[None]:
    """Return the style as a context on matplotlib's defaults, without the user's rcParams."""
    return matplotlib.style.context(["default", STYLE])


class StyledFigure(Figure):
    """A figure that is drawn and saved in the style; matplotlib reads many rcParams only then."""

    def draw(self, renderer: RendererBase) -> None:
        """Draw inside the style's context."""
        with context():
            super().draw(renderer)

    def savefig(self, fname: Any, **kwargs: Any) -> None:
        """Save inside the style's context; arguments as for `Figure.savefig`."""
        with context():
            super().savefig(fname, **kwargs)


def styled(build: Callable[P, Figure]) -> Callable[P, Figure]:
    """Run `build` inside the style's context, and settle the layout of its figure."""

    @functools.wraps(build)
    def inside(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with context():
            figure = build(*args, **kwargs)
            settle(figure)
            return figure

    return inside


def settle(figure: Figure) -> None:
    """Repeat the layout until it no longer changes, then fix it.

    Every saved file is then the same picture. One pass of a constrained layout is not enough around
    images of fixed aspect.
    """
    layout = figure.get_layout_engine()
    if not isinstance(layout, ConstrainedLayoutEngine):
        return  # already settled
    before = np.inf
    for _ in range(MOST_PASSES):
        layout.execute(figure)
        after = np.array([axes.get_position(original=True).bounds for axes in figure.axes])
        if np.abs(after - before).max() < 5e-4:
            break
        before = after
    figure.set_layout_engine("none")


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure of `width` × `height` inches whose layout clips no text."""
    return StyledFigure(figsize=(width, height), layout="constrained")


def rgb(images: Array, unseen: Array | None = None, *, opacity: float = 1.0) -> Array:
    """Convert images to RGB, and tint the unseen pixels.

    Args:
        images: `(..., C, H, W)` in [0, 1], C = 1 (grey) or 3 (RGB). Values outside are clipped.
        unseen: `(..., C, H, W)` bool; a pixel is tinted when any of its channels is unseen.
        opacity: opacity of the tint; 1 hides the pixel.

    Returns:
        `(..., H, W, 3)` in [0, 1].
    """
    channels_last = np.moveaxis(np.clip(images, 0.0, 1.0), -3, -1)
    colours = np.broadcast_to(channels_last, (*channels_last.shape[:-1], 3))
    if unseen is None:
        return colours
    weight = opacity * np.any(unseen, axis=-3)[..., None]
    return (1 - weight) * colours + weight * np.asarray(to_rgb(UNSEEN))


def latent_name(index: int) -> str:
    """Return the name of a latent that is counted from 0, such as z₁ for 0."""
    return f"z{index + 1}".translate(SUBSCRIPTS)


def bare(axes: Axes) -> None:
    """Remove ticks and spines from `axes`."""
    axes.tick_params(length=0)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def show_image(axes: Axes, image: Array, mask: Array | None = None) -> None:
    """Show one image `(C, H, W)` without ticks, tinted where `mask` `(C, H, W)` is False."""
    axes.imshow(rgb(image, None if mask is None else ~mask))
    bare(axes)
