"""The check that the values to train on are not all equal."""

import numpy as np
import torch

from elboroom.data.part import Part
from elboroom.data.sharing import errors_of_all, spread
from elboroom.data.source import Source, in_chunks, rows_at_once
from elboroom.errors import DataError


def require_variation(train: Part, source: Source) -> None:
    """Check that the training part has two different values after binarisation.

    Args:
        train: the training part as batches see it.
        source: the source that it was made of, for the largest value that it has.

    Raises:
        DataError: if all known values are equal; it names the largest value of the source.
    """
    with errors_of_all(on_disk=train.on_disk):
        found, varies = _first_and_whether_it_varies(train)
    mine = [] if found is None else [{"first": np.array(found), "varies": np.array(varies)}]
    ranks = spread(mine, on_disk=train.on_disk)
    firsts = [float(rank["first"]) for rank in ranks]
    if any(rank["varies"] for rank in ranks) or len(set(firsts)) > 1:
        return
    raise _constant(source, train.binarisation.name, firsts[0] if firsts else None)


def _first_and_whether_it_varies(train: Part) -> tuple[float | None, bool]:
    """Return the first value of this rank's share, and whether another differs from it."""
    first = None
    for values in train.split_share(rows_at_once(tuple(train.images.shape[1:]))):
        known = values[~torch.isnan(values)] if train.missing else values.flatten()
        first = known[0] if first is None and len(known) else first
        if first is not None and (known != first).any():
            return float(first), True
    return None if first is None else float(first), False


def _constant(source: Source, binarisation: str, value: float | None) -> DataError:
    chunks = in_chunks(source.train.images)
    high = float(np.fmax.reduce([np.fmax.reduce(rows, axis=None) for rows in chunks]))
    found = "no known value" if value is None else f"{value:g} everywhere"
    if binarisation in ("none", "auto"):
        why, fix = f"found {found}", "give data whose values differ"
    else:
        why = f"{binarisation} makes it {found}: the largest value is {high:g} of {source.white:g}"
        fix = f"scale the values to 0…{source.white:g}, or keep them by leaving out --binarisation"
    return DataError(f"all values of {source.name} to train on are equal", why=why, fix=fix)
