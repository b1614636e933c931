"""The latent space: the encoder's means of the data."""

from __future__ import annotations

import math
import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle

from elboroom.figures.plots.checks import require_shape
from elboroom.figures.plots.style import BLUE, GREY, PETROFF, SMALL, Array, new_figure, styled

# Ten colours and seven shapes have no common factor, so a pair repeats only after 70 classes.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
NOTE_WIDTH = 60  # characters
LEGEND_ROWS = 20
SIDE = 4.0  # inches, without the legend


@styled
def latent(
    means: Array,
    labels: Array | None = None,
    *,
    axis_labels: tuple[str, str] = ("z₁", "z₂"),
    note: str | None = None,
) -> Figure:
    """Draw the encoder's means of a data set as points, coloured by class.

    Points are drawn in the given order, so no class covers the others unless the data are sorted
    by class.

    Args:
        means: `(N, 2)`: E_q[z | x], or a projection of it.
        labels: `(N,)` int classes, or None for one colour and no legend.
        axis_labels: names of the two coordinates.
        note: a line above the figure, for example on the projection.

    Raises:
        UsageError: if `means` is not `(N, 2)` or `labels` is not `(N,)`.
    """
    require_shape("means", means, (len(means), 2), "N, 2")
    figure = new_figure(SIDE, SIDE)
    axes = figure.subplots()
    if labels is None:
        _points(axes, means, [BLUE] * len(means), ["o"] * len(means))
    else:
        require_shape("labels", labels, (len(means),), "N")
        classes, members = np.unique(labels, return_inverse=True)
        colours = [PETROFF[k % len(PETROFF)] for k in range(len(classes))]
        markers = [MARKERS[k % len(MARKERS)] for k in range(len(classes))]
        _points(axes, means, [colours[k] for k in members], [markers[k] for k in members])
        _legend(figure, [f"class {name}" for name in classes], colours, markers)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set(xlabel=axis_labels[0], ylabel=axis_labels[1])
    if note is not None:
        axes.set_title(textwrap.fill(note, NOTE_WIDTH), fontsize=SMALL, color=GREY)
    return figure


def _points(axes: Axes, means: Array, colours: list[str], markers: list[str]) -> None:
    """Draw all classes as one collection; one per class would stack the classes."""
    size = float(np.clip(25_000 / max(len(means), 1), 3.0, 18.0))  # points²
    points = axes.scatter(*means.T, s=size, c=colours, alpha=0.6, linewidths=0, rasterized=True)
    outlines = {
        m: MarkerStyle(m).get_path().transformed(MarkerStyle(m).get_transform())
        for m in set(markers)
    }
    points.set_paths([outlines[m] for m in markers])


def _legend(figure: Figure, names: list[str], colours: list[str], markers: list[str]) -> None:
    swatches = [
        Line2D([], [], linestyle="none", marker=marker, markersize=5, color=colour, label=name)
        for name, colour, marker in zip(names, colours, markers, strict=True)
    ]
    columns = math.ceil(len(names) / LEGEND_ROWS)
    figure.set_figwidth(SIDE + 0.8 * columns)
    figure.legend(handles=swatches, loc="outside right upper", ncols=columns, columnspacing=1)
