"""The page that reports an imputation: what was missing, and how far the answer can be trusted."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from elboroom import figures
from elboroom.imputation.column_checks import ColumnCheck
from elboroom.runs.pages import png_url, templates

_MOST_PATTERNS, _MOST_ROWS = 10, 50


@dataclass(frozen=True)
class Report:
    """The content of the page.

    Attributes:
        name: the name of the table.
        names: of the columns that are modelled, (D,).
        types: the type of each, and the reason for it, a line for each column of the table.
        seen: (N, D), True where an entry is seen.
        left_out: the columns that keep their gaps, and why, in a line each.
        checks: what withheld entries say of each column; empty if none were withheld.
        row_doubts: the reason not to trust a row, by its number from 0.
        weights: of each model, by its name.
        method: how z was inferred, in words.
        models: the folder of the models.
    """

    name: str
    names: tuple[str, ...]
    types: Sequence[str]
    left_out: Sequence[str]
    seen: np.ndarray
    checks: Sequence[ColumnCheck]
    row_doubts: Mapping[int, str]
    weights: Mapping[str, float]
    method: str
    models: Path

    def render(self) -> str:
        """Return the page as HTML, with its figure inside."""
        environment = templates(Path(__file__).parent)
        environment.filters |= {"number": _number, "percent": _percent}
        rows = list(self.row_doubts.items())
        return environment.get_template("report.html.j2").render(
            report=self,
            patterns=patterns(self.seen, self.names),
            missing=dict(zip(self.names, (~self.seen).sum(0).tolist(), strict=True)),
            figure=_data_url(figures.missing(self.seen, self.names)),
            rows=rows[:_MOST_ROWS],
            more_rows=len(rows) - len(rows[:_MOST_ROWS]),
            rows_with_gaps=int((~self.seen).any(1).sum()),
        )


def patterns(seen: np.ndarray, names: Sequence[str]) -> list[tuple[int, str]]:
    """Return the most frequent patterns of gaps, each with its number of rows and its columns."""
    found = Counter(map(bytes, (~seen).astype(np.uint8)))
    most = found.most_common(_MOST_PATTERNS)
    return [(rows, _columns(np.frombuffer(pattern, np.uint8), names)) for pattern, rows in most]


def _columns(pattern: np.ndarray, names: Sequence[str]) -> str:
    missing = [names[place] for place in np.flatnonzero(pattern).tolist()]
    return ", ".join(missing) if missing else "none: these rows are complete"


def _data_url(figure: Figure) -> str:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=160)
    return png_url(buffer.getvalue())


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f} %"
