"""The latent space: the encoder's means of the data."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle
from matplotlib.typing import ColorType

from elboroom.errors import UsageError
from elboroom.figures.plots.arrays import Array, Values, as_array
from elboroom.figures.plots.checks import require_shape
from elboroom.figures.plots.mosaic import shortened
from elboroom.figures.plots.style import BLUE, CHARACTER, GREY, PETROFF, SMALL, new_figure, styled

# Ten colours and seven shapes have no common factor, so a pair repeats only after 70 classes.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
NOTE_WIDTH = 60  # characters
LEGEND_ROWS, LEGEND_COLUMNS = 20, 3
SIDE = 4.0  # inches, without the legend
LEGEND_WIDTH = 2.5  # inches, at most
COLOUR_MAP = "viridis"  # its lightness grows, so that it is ordered in every colour vision


@dataclass(frozen=True)
class _Classes:
    """The distinct labels of the points.

    Attributes:
        members: (N,) int, the class of each point, counted from 0.
        names: the name of each class.
        values: the number that each class stands for; None if some name is no number.
    """

    members: Array
    names: list[str]
    values: Array | None

    @classmethod
    def of(cls, labels: Array, class_names: Sequence[str] | None) -> _Classes:
        found, members = np.unique(labels, return_inverse=True)
        names = [str(label) for label in found.tolist()]
        if class_names is not None:
            names = [class_names[label] for label in _positions(found, class_names)]
        return cls(members, names, _numbers(names))

    @property
    def columns(self) -> int:
        """The columns of a legend."""
        return math.ceil(len(self.names) / LEGEND_ROWS)

    @property
    def shown(self) -> list[str]:
        """The names as a legend has room for them."""
        # A number alone would not say what it is.
        prefix = "" if self.values is None else "class "
        room = int((LEGEND_WIDTH / self.columns - 0.3) / CHARACTER)
        return [shortened(f"{prefix}{name}", max(room, 3)) for name in self.names]

    @property
    def legible(self) -> bool:
        """True if a legend has room for the classes, and can tell them apart."""
        few = len(self.names) <= LEGEND_ROWS * LEGEND_COLUMNS
        return few and len(set(self.shown)) == len(self.names)


@styled
def latent(
    means: Values,
    labels: Values | Sequence[str] | None = None,
    *,
    class_names: Sequence[str] | None = None,
    axis_labels: tuple[str, str] = ("z₁", "z₂"),
    note: str | None = None,
) -> Figure:
    """Draw the encoder's means of a data set as points, coloured by class.

    Points are drawn in the given order, so no class covers the others unless the data are sorted
    by class. More than 60 classes have a colour bar in place of the legend: of their values if all
    names are numbers, else of their order.

    Args:
        means: `(N, 2)`: E_q[z | x], or a projection of it.
        labels: `(N,)` classes, numbers or strings; None for one colour and no legend.
        class_names: names of the classes; `labels` are then positions among them. If None, the
            labels are the names.
        axis_labels: names of the two coordinates.
        note: a line above the figure, for example on the projection.

    Raises:
        UsageError: if `means` is not `(N, 2)`, `labels` is not `(N,)`, or a label has no name.

    Example:
        >>> part = data.test
        >>> means = model.posterior(part.x).mean
        >>> means.shape, part.labels.shape
        (torch.Size([200, 2]), torch.Size([200]))
        >>> figure = figures.latent(means, part.labels, class_names=part.classes)
        >>> figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()
        ('z₁', 'z₂')
    """
    means = as_array("means", means)
    require_shape("means", means, (len(means), 2), "N, 2")
    figure = new_figure(SIDE, SIDE)
    axes = figure.subplots()
    if labels is None:
        _points(axes, means, [BLUE] * len(means), ["o"] * len(means))
    else:
        labels = as_array("labels", labels, "biufU")
        require_shape("labels", labels, (len(means),), "N")
        draw = _with_legend if (classes := _Classes.of(labels, class_names)).legible else _with_bar
        draw(figure, axes, means, classes)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set(xlabel=axis_labels[0], ylabel=axis_labels[1])
    if note is not None:
        axes.set_title(textwrap.fill(note, NOTE_WIDTH), fontsize=SMALL, color=GREY)
    return figure


def _positions(labels: Array, class_names: Sequence[str]) -> list[int]:
    """Check that labels are positions among the names, and return them."""
    unnamed = [label for label in labels.tolist() if label not in range(len(class_names))]
    if unnamed:
        raise UsageError(
            f"labels: expected positions among {len(class_names)} class names, found {unnamed[0]}",
            why="each label is the position of its name, counted from 0",
            fix="pass a name for every label, or class_names=None to show the labels themselves",
        )
    return [int(label) for label in labels.tolist()]


def _numbers(names: list[str]) -> Array | None:
    try:
        values = np.array([float(name) for name in names])
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None


def _with_legend(figure: Figure, axes: Axes, means: Array, classes: _Classes) -> None:
    count = len(classes.names)
    colours = [PETROFF[k % len(PETROFF)] for k in range(count)]
    markers = [MARKERS[k % len(MARKERS)] for k in range(count)]
    points = [colours[k] for k in classes.members], [markers[k] for k in classes.members]
    _points(axes, means, *points)
    _legend(figure, classes, colours, markers)


def _with_bar(figure: Figure, axes: Axes, means: Array, classes: _Classes) -> None:
    order = np.arange(len(classes.names))
    values = order if classes.values is None else classes.values
    scale = ScalarMappable(Normalize(values.min(), values.max()), COLOUR_MAP)
    _points(axes, means, [*scale.to_rgba(values)[classes.members]], ["o"] * len(means))
    bar = figure.colorbar(scale, ax=axes, fraction=0.05)
    bar.set_label(f"class, {len(order):,} different ones")
    if classes.values is None:
        few = np.linspace(0, order[-1], 6).round().astype(int)
        bar.set_ticks(few, labels=[shortened(classes.names[k], 14) for k in few])
    figure.set_figwidth(SIDE + 1.2)


def _points(axes: Axes, means: Array, colours: Sequence[ColorType], markers: list[str]) -> None:
    """Draw all classes as one collection; one per class would stack the classes."""
    size = float(np.clip(25_000 / max(len(means), 1), 3.0, 18.0))  # points²
    points = axes.scatter(*means.T, s=size, c=colours, alpha=0.6, linewidths=0, rasterized=True)
    outlines = {
        m: MarkerStyle(m).get_path().transformed(MarkerStyle(m).get_transform())
        for m in set(markers)
    }
    points.set_paths([outlines[m] for m in markers])


def _legend(figure: Figure, classes: _Classes, colours: list[str], markers: list[str]) -> None:
    shown, columns = classes.shown, classes.columns
    swatches = [
        Line2D([], [], linestyle="none", marker=marker, markersize=5, color=colour, label=name)
        for name, colour, marker in zip(shown, colours, markers, strict=True)
    ]
    width = max(0.8, 0.3 + CHARACTER * max(map(len, shown)))
    figure.set_figwidth(SIDE + width * columns)
    figure.legend(handles=swatches, loc="outside right upper", ncols=columns, columnspacing=1)
