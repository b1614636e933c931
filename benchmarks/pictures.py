"""Pictures: the pace of packing, and the default recipe on own ones."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from benchmarks import own_pictures, packing
from benchmarks.results import Row


def measure(quick: bool) -> Iterator[Row]:
    """Measure all rows; `quick` takes few pictures, and judges nothing."""
    for row in chain(packing.rows(quick), own_pictures.rows(quick)):
        yield replace(row, reach=None) if quick else row
