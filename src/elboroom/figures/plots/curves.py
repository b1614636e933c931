"""Training curves: the ELBO, its two terms and β, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from elboroom.errors import UsageError
from elboroom.figures.plots.arrays import Array, Values, as_arrays
from elboroom.figures.plots.checks import require_shape
from elboroom.figures.plots.style import BLUE, TEXT_WIDTH, VERMILION, new_figure, styled

TITLES = {
    "elbo": "ELBO, at β = 1",
    "reconstruction": "reconstruction, mean of log p(x | z)",
    "kl": "KL(q(z | x)‖p(z))",
    "beta": "β, weight of the KL in training",
}
LOOKS = ((BLUE, "-"), (VERMILION, "--"))
FEW = 30  # epochs: a curve of at most this length has a marker per point


@styled
def curves(
    train: Mapping[str, Values],
    held_out: Mapping[str, Values],
    *,
    held_out_name: str,
    unit: str = "nats per image",
) -> Figure:
    """Draw training curves: the ELBO at the left, its terms at the right.

    Both tables map the name of a column to its values, one per logged epoch. β has a panel if it
    is not always 1. The y-limits ignore the first tenth of training, where a curve may enter from
    outside the frame: the first epochs would squash the rest.

    Args:
        train: columns "epoch", "elbo", "reconstruction" and "kl", `(E,)`. "beta" `(E,)` is
            optional and 1 by default. The ELBO and its terms are in `unit`.
        held_out: columns "epoch" and "elbo", `(F,)`, at other epochs and possibly none.
            "reconstruction" and "kl" are drawn if present.
        held_out_name: name of the second table in the legend, such as "test".
        unit: the unit of the ELBO and its terms, as their axes say it.

    Raises:
        UsageError: if a column is missing or not as long as "epoch", or `train` has no rows.

    Example:
        >>> names, history = ("epoch", "elbo", "reconstruction", "kl"), state.history
        >>> table = {name: [getattr(epoch, name) for epoch in history] for name in names}
        >>> held_out = {"epoch": [history[-1].epoch], "elbo": [history[-1].held_out_elbo]}
        >>> figure = figures.curves(table, held_out, held_out_name="test")
        >>> len(figure.axes)  # the ELBO, and its two terms
        3
    """
    train, held_out = as_arrays("train", train), as_arrays("held_out", held_out)
    _require_columns("train", train, ("epoch", "elbo", "reconstruction", "kl"))
    _require_columns("held_out", held_out, ("epoch", "elbo"))
    if len(train["epoch"]) == 0:
        raise UsageError(
            "train: expected at least one epoch, found none",
            why="there is no curve to draw",
            fix="train for an epoch first",
        )
    warm_up = bool(np.any(np.asarray(train.get("beta", 1.0)) != 1.0))
    figure = new_figure(TEXT_WIDTH, 3.9 if warm_up else 3.1)
    panels = _panels(figure, warm_up)
    tables: dict[str, Mapping[str, Array]] = {"train": train, held_out_name: held_out}
    epochs = np.asarray(train["epoch"])
    for quantity, axes in panels.items():
        start = epochs[0] if quantity == "beta" else epochs[len(epochs) // 10]
        _panel(axes, quantity, tables, start)
        axes.set_ylabel(unit if quantity != "beta" else "")
    figure.legend(handles=panels["elbo"].get_lines(), loc="outside upper center", ncols=2)
    return figure


def _require_columns(name: str, table: Mapping[str, Array], required: tuple[str, ...]) -> None:
    missing = [column for column in required if column not in table]
    if missing:
        raise UsageError(
            f"{name}: expected columns {', '.join(required)}, found {', '.join(table) or 'none'}",
            why="every panel except that of β is always drawn",
            fix=f"add {', '.join(missing)}",
        )
    for column, values in table.items():
        require_shape(f'{name}["{column}"]', np.asarray(values), (len(table["epoch"]),), "E")


def _panels(figure: Figure, warm_up: bool) -> dict[str, Axes]:
    right = ["reconstruction", "kl", *(["beta"] if warm_up else [])]
    panels = figure.subplot_mosaic(
        [["elbo", quantity] for quantity in right],
        height_ratios=[2, 2, 1][: len(right)],
        width_ratios=[1.15, 1],
    )
    for quantity in right[:-1]:
        panels[quantity].sharex(panels[right[-1]])
        panels[quantity].tick_params(labelbottom=False)
    for quantity in ("elbo", right[-1]):
        panels[quantity].set_xlabel("epoch")
    figure.align_ylabels([panels[quantity] for quantity in right])
    return panels


def _panel(axes: Axes, quantity: str, tables: dict[str, Mapping[str, Array]], start: float) -> None:
    shown = [np.empty(0)]
    for (name, table), (colour, dashes) in zip(tables.items(), LOOKS, strict=True):
        epochs, values = np.asarray(table["epoch"]), np.asarray(table.get(quantity, []), float)
        if len(values):
            marker = "o" if len(values) <= FEW else None
            axes.plot(epochs, values, dashes, color=colour, marker=marker, ms=2.5, label=name)
            shown.append(values[(epochs >= start) & np.isfinite(values)])
    axes.set(title=TITLES[quantity])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))
    axes.set_ylim(*_limits(np.concatenate(shown)))


def _limits(values: Array) -> tuple[float, float]:
    if values.size == 0:
        return 0.0, 1.0
    margin = 0.05 * np.ptp(values) or 0.5
    return float(values.min() - margin), float(values.max() + margin)
