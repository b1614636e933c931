"""Pictures: the pace of packing them."""

from collections.abc import Iterator
from dataclasses import replace

from benchmarks import packing
from benchmarks.results import Row


def measure(quick: bool) -> Iterator[Row]:
    """Measure all rows; `quick` takes few pictures, and judges nothing."""
    for row in packing.rows(quick):
        yield replace(row, reach=None) if quick else row
