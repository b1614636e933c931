"""Parts of requests that several endpoints share, with their bounds."""

from typing import Annotated

import msgspec
from msgspec import Meta

LIMITS = {
    "samples": 100,
    "draws": 32,
    "steps": 25,
    "manifold": 24,
    "pictures": 200,
    "points": 200,
    "rows": 100,
    "columns": 24,
}
"""The most of each that one request may ask for."""
MOST_LATENTS = 8_192
MOST_VALUES = 65_536
"""The largest number of values of a row that a request may hold."""

Seed = Annotated[int, Meta(ge=0, le=2**31 - 1, description="seed of every draw")]
Axes = Annotated[
    str,
    Meta(
        pattern=r"^(pca|[0-9]{1,4},[0-9]{1,4})$",
        description="the plane: two latents counted from 0, or pca; by default that of the model",
    ),
]
Coordinate = Annotated[float, Meta(ge=-1e6, le=1e6)]
Point = Annotated[
    list[Coordinate], Meta(min_length=2, max_length=2, description="a place on the plane")
]
Latents = Annotated[
    list[Coordinate], Meta(min_length=1, max_length=MOST_LATENTS, description="z, one number each")
]
RowNumber = Annotated[int, Meta(ge=0, le=2**31 - 1, description="a row that is shown, from 0 on")]


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The parameters or the body of a request; unknown names are refused."""


class Nothing(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A request without parameters."""
