"""The rows of an export: their values, their names, and where they lie in z."""

import math
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

import torch
from torch import Tensor

from elboroom.explorer.explored_run import ExploredRun
from elboroom.explorer.web_export.weights import Weights
from elboroom.runs.chosen_part import row_name

_MOST_ROWS = 2_000
_MOST_BYTES = 16_000_000
_DIVISORS = (1, 255)  # of the bytes of binary values, and of grey levels


def first_rows(explored: ExploredRun) -> ExploredRun:
    """Return the run with as many rows as a browser loads in seconds, 2,000 at most."""
    most = min(_MOST_ROWS, _MOST_BYTES // (4 * math.prod(explored.model.event_shape)))
    count = min(most, len(explored.part))
    return replace(explored, part=explored.part.rows(list(range(count))))


@dataclass(frozen=True)
class ExportedRows:
    """The rows that an export shows.

    Attributes:
        values: bytes, or little-endian float32 with NaN where missing.
        divisor: the number that bytes are divided by; None for float32.
    """

    values: bytes
    divisor: int | None

    @classmethod
    def of(cls, x: Tensor) -> "ExportedRows":
        """Take values as bytes, where these restore them exactly."""
        for divisor in _DIVISORS:
            packed = (divisor * x).round().nan_to_num(0.0).clamp(0, 255).to(torch.uint8)
            if torch.equal(packed.float() / divisor, x):
                return cls(packed.numpy().tobytes(), divisor)
        return cls(x.numpy().astype("<f4").tobytes(), None)


def describe_rows(explored: ExploredRun, rows: ExportedRows, weights: Weights) -> dict[str, Any]:
    """Describe the rows, with their encoded means in `weights`."""
    part = explored.part
    return {
        "divisor": rows.divisor,
        "labels": None if part.labels is None else part.labels.tolist(),
        "origins": [_origin(explored, row) for row in range(len(part))],
        "means": weights.add(explored.means),
    }


def _origin(explored: ExploredRun, row: int) -> str:
    """Name a row in its source; a file by its name alone."""
    part = explored.part
    if part.files is None:
        return row_name(part, row)
    return row_name(replace(part, files=tuple(PurePath(file).name for file in part.files)), row)
