"""The rows of the data: their pictures, and the encoder's posterior of one."""

from typing import Annotated

import msgspec
import torch
from msgspec import Meta
from torch import Tensor

from elboroom.errors import UsageError
from elboroom.explorer.api.decoding import Pictures
from elboroom.explorer.api.requests import LIMITS, Axes, Request, RowNumber
from elboroom.explorer.explored_run import ExploredRun
from elboroom.explorer.number_array import NumberArray
from elboroom.infer.encoder import encoder
from elboroom.infer.posterior import VariationalPosterior
from elboroom.randomness import stream
from elboroom.runs.chosen_part import row_name

_NEIGHBOURS = 8
_DRAWS = 200


class PicturesRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Some rows that are shown."""

    rows: Annotated[
        str,
        Meta(
            pattern=r"^[0-9]{1,9}(,[0-9]{1,9})*$",
            max_length=2_000,
            description="numbers of rows from 0 on, with commas between",
        ),
    ]


class RowRequest(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The plane on which a row's posterior is drawn."""

    axes: Axes | None = None


class EncodedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row, and the encoder's q(z | x) of it.

    Attributes:
        row: its number among those shown.
        origin: its place in the source.
        label: its class; null without labels.
        x: its values, (*event); NaN where missing.
        missing: 1 where a value is missing, (*event); null if none is.
        mean: E_q[z], D numbers.
        std: the standard deviation of each latent.
        point: the mean on the plane; null without a plane.
        covariance: that of q on the plane; null without one.
        neighbours: the rows whose means are nearest, nearest first.
    """

    row: int
    origin: str
    label: int | None
    x: NumberArray
    missing: NumberArray | None
    mean: list[float]
    std: list[float]
    point: list[float] | None
    covariance: list[list[float]] | None
    neighbours: list[int]


def pictures(explored: ExploredRun, request: PicturesRequest) -> Pictures:
    """Return the pictures of some rows."""
    numbers = [int(number) for number in request.rows.split(",")]
    if len(numbers) > LIMITS["pictures"]:
        raise UsageError(
            f"{len(numbers)} pictures are too many",
            why=f"one request may ask for {LIMITS['pictures']}",
            fix="ask for them in several requests",
        )
    return Pictures(explored.tones.drawn(explored.rows(numbers).x))


@torch.no_grad()
def encoded_row(explored: ExploredRun, request: RowRequest, row: RowNumber) -> EncodedRow:
    """Return one row with the encoder's posterior of it."""
    part = explored.rows([row])
    seen = part.seen(part.x)
    posterior = encoder(explored.model, part.x, seen, generator=stream(0, "encoded row"))
    plane, mean = explored.plane(request.axes) if explored.axes else None, posterior.mean[0]
    return EncodedRow(
        row=row,
        origin=row_name(explored.part, row),
        label=None if part.labels is None else int(part.labels[0]),
        x=NumberArray.of(part.x[0]),
        missing=None if seen is None or bool(seen.all()) else NumberArray.of(~seen[0]),
        mean=mean.tolist(),
        std=_standard_deviations(posterior).tolist(),
        point=None if plane is None else plane.project(mean).tolist(),
        covariance=None if plane is None else plane.covariance(posterior).tolist(),
        neighbours=_nearest(explored.means, row),
    )


def _standard_deviations(posterior: VariationalPosterior) -> Tensor:
    """Return the standard deviation of each latent of one row, (D,), if unknown from draws."""
    marginals = posterior.q.marginals
    return (
        posterior.sample(_DRAWS)[:, 0].std(0) if marginals is None else marginals.log_std[0].exp()
    )


def _nearest(means: Tensor, row: int) -> list[int]:
    distances = (means - means[row]).square().sum(-1)
    distances[row] = torch.inf
    return distances.argsort(stable=True)[: min(_NEIGHBOURS, len(means) - 1)].tolist()
