"""The support of a likelihood: a check of the data before anything is computed."""

from collections.abc import Callable

from torch import Tensor

from elboroom.data import Part
from elboroom.errors import DataError, UsageError
from elboroom.model.likelihoods.likelihood import Likelihood
from elboroom.model.likelihoods.scale import SharedScale


def class_of(likelihood: Callable[[Tensor], Likelihood]) -> type[Likelihood]:
    """Return the class of the densities that `likelihood` makes.

    For a function it is unknown, and the result is `Likelihood` itself, with its defaults.
    """
    kind = likelihood.kind if isinstance(likelihood, SharedScale) else likelihood
    return kind if isinstance(kind, type) and issubclass(kind, Likelihood) else Likelihood


def require_support(likelihood: Callable[[Tensor], Likelihood], part: Part, source: str) -> None:
    """Check that the likelihood accepts every value of the data; NaN is a missing pixel.

    Args:
        likelihood: a model's map from parameters to densities.
        part: part of the data. Pixels that are drawn again at every visit are binary.
        source: name of the data.

    Raises:
        DataError: the likelihood does not accept some value.
    """
    if part.redraw:
        return
    fix = (
        "choose --binarisation threshold, dynamic or static, which make pixels binary, "
        "or another --likelihood"
    )
    for values in part.values():
        require_values(likelihood, values[~values.isnan()], source, fix, DataError)


def require_values(
    likelihood: Callable[[Tensor], Likelihood],
    values: Tensor,
    name: str,
    fix: str,
    error: type[UsageError],
) -> None:
    """Check that the likelihood accepts every one of some values.

    Args:
        likelihood: a model's map from parameters to densities.
        values: values of any shape, none of them NaN.
        name: what they are, at the beginning of the error.
        fix: what the error advises.
        error: class of the error that is raised.

    Raises:
        UsageError: the likelihood does not accept some value.
    """
    kind = class_of(likelihood)
    if kind is Likelihood:
        return
    unfit = values[~kind.fits(values)]
    if len(unfit):
        raise error(
            f"{name} does not fit the likelihood {kind.__name__}",
            why=f"every value must be {kind.takes}, found {unfit[0].item():.4g}",
            fix=fix,
        )
