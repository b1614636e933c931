"""The table of endpoints: what each takes and returns, for the server and for its description."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from elboroom.explorer.api.completion import CompletedPicture, CompletionRequest, completion
from elboroom.explorer.api.decoding import (
    DecodeRequest,
    ManifoldRequest,
    Pictures,
    decode,
    manifold,
)
from elboroom.explorer.api.description import Description, describe
from elboroom.explorer.api.entries import EntriesRequest, InferredEntries, entries
from elboroom.explorer.api.inference import InferenceRequest
from elboroom.explorer.api.interpolation import (
    Interpolation,
    InterpolationRequest,
    interpolation,
)
from elboroom.explorer.api.latent_map import LatentMap, MapRequest, latent_map
from elboroom.explorer.api.progress import History, StoredEvaluation, evaluation, history
from elboroom.explorer.api.requests import Nothing, Request
from elboroom.explorer.api.rows import (
    EncodedRow,
    PicturesRequest,
    RowRequest,
    encoded_row,
    pictures,
)
from elboroom.explorer.api.samples import Samples, SamplesRequest, samples
from elboroom.explorer.api.table import (
    TableColumns,
    TableRequest,
    TableRows,
    table_columns,
    table_rows,
)
from elboroom.explorer.explored_run import ExploredRun


@dataclass(frozen=True)
class Endpoint:
    """A question about a run.

    Attributes:
        method: GET has its request in the query, POST in the body.
        path: the path behind /api/runs/{run}; what stands in braces is given to `call` by name.
        call: (explored run, request, **parts of the path) → the answer; its docstring is the
            summary.
        takes: the class of the request.
        returns: the class of the answer.
    """

    method: Literal["GET", "POST"]
    path: str
    call: Callable[..., Any]
    takes: type[Request]
    returns: type[msgspec.Struct]

    @property
    def summary(self) -> str:
        """The first line of what `call` does."""
        return (self.call.__doc__ or "").split("\n")[0]


ENDPOINTS = (
    Endpoint("GET", "", describe, Nothing, Description),
    Endpoint("GET", "/map", latent_map, MapRequest, LatentMap),
    Endpoint("GET", "/manifold", manifold, ManifoldRequest, Pictures),
    Endpoint("GET", "/pictures", pictures, PicturesRequest, Pictures),
    Endpoint("GET", "/rows/{row}", encoded_row, RowRequest, EncodedRow),
    Endpoint("POST", "/decode", decode, DecodeRequest, Pictures),
    Endpoint("POST", "/complete", completion, CompletionRequest, CompletedPicture),
    Endpoint("GET", "/samples", samples, SamplesRequest, Samples),
    Endpoint("POST", "/interpolate", interpolation, InterpolationRequest, Interpolation),
    Endpoint("GET", "/columns", table_columns, Nothing, TableColumns),
    Endpoint("GET", "/table", table_rows, TableRequest, TableRows),
    Endpoint("POST", "/entries", entries, EntriesRequest, InferredEntries),
    Endpoint("GET", "/history", history, Nothing, History),
    Endpoint("GET", "/evaluation", evaluation, Nothing, StoredEvaluation),
)


def is_slow(explored: ExploredRun, request: Request) -> bool:
    """Return True for a request that takes seconds, and must not keep others waiting."""
    return isinstance(request, InferenceRequest) and explored.is_slow(request.method)


class KnownRun(msgspec.Struct, frozen=True):
    """A run that can be asked about."""

    id: str
    name: str


class Runs(msgspec.Struct, frozen=True):
    """The runs that can be asked about, and the version of elboroom."""

    runs: list[KnownRun]
    version: str


class Failure(msgspec.Struct, frozen=True):
    """An error: what happened, why, and what helps."""

    what: str
    why: str
    fix: str


class Failed(msgspec.Struct, frozen=True):
    """The answer to a request that failed."""

    error: Failure
