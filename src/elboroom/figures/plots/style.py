"""The style of all figures: fonts, colours, sizes and layout."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable
from contextlib import AbstractContextManager
from io import BytesIO
from typing import Any, ParamSpec

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

P = ParamSpec("P")

TEXT_WIDTH = 6.5  # inches: width of the text on a page
COLUMN_WIDTH = 3.35  # inches: width of one of two columns
SMALL = 7  # points: the smallest font size
MOST_PASSES = 8  # passes of the layout
SCREEN = 120  # dots per inch in a notebook
CHARACTER, SMALL_CHARACTER = 0.073, 0.057  # inches: width of a character, at most in long texts

BLUE, VERMILION = "#0072B2", "#D55E00"  # Okabe & Ito (2008): distinct in every colour vision
GREY = "#5A5A5A"
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

    def _repr_png_(self) -> bytes:
        """Draw for a notebook, also one that has not loaded pyplot, which would do it itself."""
        buffer = BytesIO()
        self.savefig(buffer, format="png", dpi=SCREEN)
        return buffer.getvalue()

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


def caption_height(caption: str | None, width: float) -> float:
    """Return the inches that a caption adds to a figure of `width` inches."""
    return 0.14 * len(wrapped(caption, width)) + 0.08 if caption else 0.0


def write_caption(figure: Figure, caption: str | None) -> None:
    """Write a caption above a figure, at the left, if there is one."""
    if caption:
        lines = wrapped(caption, figure.get_figwidth())
        look = {"fontsize": SMALL, "color": GREY, "x": 0.01, "ha": "left"}
        figure.suptitle("\n".join(lines), **look)


def wrapped(caption: str, width: float) -> list[str]:
    """Break a caption into lines for a figure of `width` inches."""
    return textwrap.wrap(caption, max(8, int(width / SMALL_CHARACTER)))


def latent_name(index: int) -> str:
    """Return the name of a latent that is counted from 0, such as z₁ for 0."""
    return f"z{index + 1}".translate(SUBSCRIPTS)


def bare(axes: Axes) -> None:
    """Remove ticks and spines from `axes`."""
    axes.tick_params(length=0)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
