"""`python -m benchmarks NAME [--quick]`: measure one area, save its results, print its table."""

import sys
from typing import Annotated, Literal

import tyro

from benchmarks import (
    explorer,
    inference,
    ladder,
    likelihood,
    machines,
    minutes,
    pictures,
    reference,
    reliability,
    tables,
    training,
)
from benchmarks.results import Results

AREAS = {
    "explorer": explorer.measure,
    "inference": inference.measure,
    "ladder": ladder.measure,
    "likelihood": likelihood.measure,
    "machines": machines.measure,
    "minutes": minutes.measure,
    "pictures": pictures.measure,
    "reference": reference.measure,
    "reliability": reliability.measure,
    "tables": tables.measure,
    "training": training.measure,
}


def main(
    name: Annotated[
        Literal[
            "explorer",
            "inference",
            "ladder",
            "likelihood",
            "machines",
            "minutes",
            "pictures",
            "reference",
            "reliability",
            "tables",
            "training",
        ],
        tyro.conf.Positional,
    ],
    quick: bool = False,
) -> None:
    """Measure one area, and exit with 1 if a bound to reach is missed.

    Each row is saved as soon as it is measured.

    Args:
        name: the area.
        quick: run every row at a size that takes a minute or two; nothing is saved.
    """
    results = Results(name, [])
    for row in AREAS[name](quick):
        results.rows.append(row)
        if not quick:
            results.keep()
    results.show()
    sys.exit(0 if results.reached else 1)


tyro.cli(main, prog="python -m benchmarks")
