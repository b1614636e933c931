"""What values a likelihood can take, checked before anything is computed from them."""

from typing import Any

from elboroom.data import Part
from elboroom.errors import DataError


def kind_of(likelihood: Any) -> Any:
    """The class of the densities that `likelihood` makes, which may hold a noise scale beside."""
    return getattr(likelihood, "kind", likelihood)


def require_support(likelihood: Any, part: Part, source: str) -> None:
    """That every value of the data can be taken; NaN is a missing pixel.

    Args:
        likelihood: what a model makes densities with; one from elsewhere is not asked.
        part: of the data; where it is drawn anew at every visit, it is binary.
        source: its name.

    Raises:
        DataError: some value cannot be taken.
    """
    kind = kind_of(likelihood)
    if part.redraw or not hasattr(kind, "fits"):
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
