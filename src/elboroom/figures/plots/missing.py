"""The figure of what is missing in a table."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from elboroom.figures.plots.arrays import as_array
from elboroom.figures.plots.style import GREY, TEXT_WIDTH, new_figure, styled

_MOST_ROWS = 400  # drawn, evenly spaced after rows with the same gaps are put together
_MOST_NAMES = 60  # columns that are named
_LONGEST = 18  # characters of a name


@styled
def missing(seen: np.ndarray, names: Sequence[str]) -> Figure:
    """Draw the share of each column that is missing, and the gaps of the rows.

    Args:
        seen: (N, D), True where an entry is known.
        names: of the columns, (D,).

    Example:
        >>> seen = torch.rand(50, 3, generator=generator) > 0.2
        >>> figure = figures.missing(seen, ["age", "height", "dose"])
        >>> [axes.get_ylabel() for axes in figure.axes]
        ['missing, %', 'rows']
    """
    figure = new_figure(TEXT_WIDTH, 3.6)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1, 2])
    gaps = ~as_array("seen", seen)
    places = np.arange(gaps.shape[1])
    above.bar(places, 100 * gaps.mean(0), color=GREY, width=0.8)
    above.set(ylabel="missing, %", ylim=(0, max(1.0, 110 * gaps.mean(0).max())))
    below.imshow(
        _ordered(gaps), aspect="auto", cmap="Greys", vmin=0, vmax=1.3, interpolation="none"
    )
    below.set(ylabel="rows", yticks=[])
    if len(names) <= _MOST_NAMES:
        labels = [n if len(n) <= _LONGEST else f"{n[: _LONGEST - 1]}…" for n in names]
        below.set_xticks(places, labels, rotation=60, ha="right", rotation_mode="anchor")
    else:
        below.set_xlabel(f"{len(names):,} columns")
    return figure


def _ordered(gaps: np.ndarray) -> np.ndarray:
    """Put rows with the same gaps together, those with the fewest first, and take some of many."""
    order = np.lexsort((*gaps.T, gaps.sum(1)))
    some = np.linspace(0, len(gaps) - 1, min(len(gaps), _MOST_ROWS)).round().astype(int)
    return gaps[order[some]]
