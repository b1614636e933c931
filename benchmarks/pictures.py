"""Pictures: the pace of packing and of training, and the default recipe on own ones."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from benchmarks import convolutions, own_pictures, packing
from benchmarks.results import Row


def measure(quick: bool) -> Iterator[Row]:
    """Measure all rows; `quick` takes few pictures, and judges nothing."""
    areas = packing, convolutions, own_pictures
    for row in chain.from_iterable(area.rows(quick) for area in areas):
        yield replace(row, reach=None) if quick else row
