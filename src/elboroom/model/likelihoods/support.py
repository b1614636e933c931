"""The support of a likelihood: a check of the data before anything is computed."""

from collections.abc import Callable

from torch import Tensor

from elboroom.data import Part
from elboroom.errors import DataError
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
    kind = class_of(likelihood)
    if part.redraw or kind is Likelihood:
        return
    for values in part.values():
        unfit = values[~kind.fits(values) & ~values.isnan()]
        if len(unfit):
            raise DataError(
                f"{source} does not fit the likelihood {kind.__name__}",
                why=f"every value must be {kind.takes}, found {unfit[0].item():.4g}",
                fix="choose --binarisation threshold, dynamic or static, which make pixels binary, "
                "or another --likelihood",
            )
