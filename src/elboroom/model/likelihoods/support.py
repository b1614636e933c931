"""The support of a likelihood: a check of the data before anything is computed."""

from collections.abc import Callable

from torch import Tensor

from elboroom.data import Part
from elboroom.data.sharing import errors_of_all
from elboroom.data.source import rows_at_once
from elboroom.errors import DataError, UsageError
from elboroom.model.likelihoods.likelihood import Likelihood

_COLUMN_FIX = "correct the value, or choose another type for the column"


def require_support(
    kind: type[Likelihood], part: Part, source: str, fix: str | None = None
) -> None:
    """Check that a likelihood accepts every value of the data; NaN is a missing value.

    Args:
        kind: class of the densities; `Likelihood` itself accepts everything.
        part: part of the data. Pixels that are drawn again at every visit are binary.
        source: name of the data.
        fix: what the error advises; None for another likelihood or binarisation.

    Raises:
        DataError: the likelihood does not accept some value.
    """
    if kind.by_place:
        rows = part.split_share(rows_at_once(tuple(part.images.shape[1:])))
        advice = _COLUMN_FIX
    else:
        possible = part.possible_values
        if part.redraw or (possible is not None and bool(kind.fits(possible).all())):
            return
        rows, advice = part.values(), None
    with errors_of_all(on_disk=part.on_disk):
        for values in rows:
            require_values(
                kind, values, source, DataError, lambda unfit: fix or advice or _fix(unfit)
            )


def require_values(
    kind: type[Likelihood],
    values: Tensor,
    name: str,
    error: type[UsageError],
    fix: Callable[[Tensor], str],
) -> None:
    """Check that a likelihood accepts every one of some values; NaN is a missing value.

    Args:
        kind: class of the densities; `Likelihood` itself accepts everything.
        values: values of any shape, or rows (N, *event) for a class that is `by_place`.
        name: what they are, at the beginning of the error.
        error: class of the error that is raised.
        fix: values that are not accepted → what the error advises.

    Raises:
        UsageError: the likelihood does not accept some value.
    """
    if kind is Likelihood:
        return
    wrong = ~(kind.fits(values) | values.isnan())
    if wrong.any():
        unfit, place = values[wrong], tuple(wrong.nonzero()[0].tolist())
        raise error(
            f"{name} does not fit the likelihood {kind.__name__}",
            why=f"every value must be {kind.takes_at(place)}, found {unfit[0].item():.4g}",
            fix=fix(unfit),
        )


def _fix(unfit: Tensor) -> str:
    """Return what helps values that the likelihood does not accept."""
    if unfit.min() < 0 or unfit.max() > 1:
        whole = (unfit == unfit.round()).all() and 1 < unfit.max() <= 255 and unfit.min() >= 0
        levels = "divide the values by 255 if they are grey levels, or " if whole else ""
        return f"{levels}use --likelihood gaussian, which takes real values in any unit"
    return (
        "use --likelihood auto, which follows the values, or --binarisation threshold, dynamic or "
        "static, which make them binary"
    )
