"""The entries of a row: the density of each given those that are seen, and of two together."""

from dataclasses import dataclass
from typing import Annotated

import msgspec
import torch
from msgspec import Meta
from torch import Tensor

from elboroom.config import MethodName
from elboroom.errors import UsageError
from elboroom.explorer.api.inference import Found, Inference, InferenceRequest
from elboroom.explorer.api.mixtures import Mixtures
from elboroom.explorer.api.quality import Evidence, Quality
from elboroom.explorer.api.requests import LIMITS, MOST_VALUES
from elboroom.explorer.column_axis import ColumnAxis
from elboroom.explorer.column_mixture import ColumnMixture, Mixture
from elboroom.explorer.columns import AxisKind, Columns, Entry, columns_of
from elboroom.explorer.explored_run import ExploredRun
from elboroom.explorer.left_out import surprise
from elboroom.explorer.number_array import NumberArray
from elboroom.randomness import fork, stream

_PAIR_DRAWS = 200

ColumnName = Annotated[str, Meta(max_length=1_000, description="the name of a column")]


class EntriesRequest(InferenceRequest, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The entries of a row, the columns whose densities are wanted, and how to infer z."""

    values: Annotated[
        dict[ColumnName, Entry],
        Meta(
            max_length=MOST_VALUES,
            description="entries by column; one that is null or not given is unseen",
        ),
    ]
    hidden: Annotated[
        list[ColumnName],
        Meta(max_length=MOST_VALUES, description="columns whose entries are given, yet unseen"),
    ] = msgspec.field(default_factory=list)
    columns: Annotated[
        Annotated[list[ColumnName], Meta(max_length=LIMITS["columns"])] | None,
        Meta(description="by default the first ones of the table"),
    ] = None
    pair: Annotated[
        tuple[ColumnName, ColumnName] | None, Meta(description="two columns, across and up")
    ] = None


class Axis(msgspec.Struct, frozen=True, kw_only=True):
    """The values of a column at which a density is given.

    Attributes:
        name: the column.
        kind: linear and logarithmic points are even in x and in log x; steps are some or all of the
            numbers that the column may have; levels are all of them by their place, from 0.
        points: the values in the column's own units, ascending; dates in days since 1970-01-01.
        observed: the entry that was given, seen or hidden, in the same units; null if none was.
    """

    name: str
    kind: AxisKind
    points: list[float]
    observed: float | None


class EntryDensity(msgspec.Struct, frozen=True, kw_only=True):
    """The density p(x_j | x_seen) of a column; of a seen one, given the other seen ones.

    Attributes:
        axis: the values at which it is given.
        density: per unit of the column, or the probability of each level or whole number, (G,).
        mean: the mean; null for levels.
        interval: the ends of the central interval of 90 %; null for levels.
        surprise: −log of the density at the given entry, in nats; null if none was given.
    """

    axis: Axis
    density: NumberArray
    mean: float | None
    interval: tuple[float, float] | None
    surprise: float | None


class PairDensity(msgspec.Struct, frozen=True, kw_only=True):
    """The joint density of two columns given the seen entries of the others.

    Attributes:
        across: the first column.
        up: the second.
        log_density: in nats, per unit of both, (points up, points across).
        draws: some draws, (S, 2), in the units of both columns.
    """

    across: Axis
    up: Axis
    log_density: NumberArray
    draws: list[tuple[float, float]]


class InferredEntries(msgspec.Struct, frozen=True, kw_only=True):
    """The posterior of a row given its seen entries, and the densities of its entries.

    Attributes:
        method: the method of inference.
        seconds: the time that inference took.
        log_evidence: log p(x_seen); null if nothing estimates it.
        quality: how good the posterior is.
        columns: the densities of single entries.
        pair: the density of two together; null unless it was asked for.
    """

    method: MethodName
    seconds: float
    log_evidence: Evidence | None
    quality: list[Quality]
    columns: list[EntryDensity]
    pair: PairDensity | None


@torch.no_grad()
def entries(explored: ExploredRun, request: EntriesRequest) -> InferredEntries:
    """Infer z from the seen entries of a row, and the density of each entry given the others."""
    columns = columns_of(explored)
    wanted, pair = _wanted(columns, request), _pair(columns, request)
    x, noise = columns.encode(request.values), stream(request.seed, "entries of the explorer")
    seen = x.index_fill(0, _hidden(columns, request), torch.nan)
    event = seen.view(1, *explored.model.event_shape)
    inferred = Inference.of(explored, request, event.nan_to_num(), ~event.isnan(), fork(noise))
    found = Found.of(explored, inferred.posterior, fork(noise))
    mixtures = Mixtures(explored, inferred, seen, fork(noise))
    *singles, both = mixtures.without([*((place,) for place in wanted), pair or ()])
    row = _Row(columns, x, fork(noise))
    return InferredEntries(
        method=inferred.method,
        seconds=inferred.seconds,
        log_evidence=found.evidence,
        quality=found.quality,
        columns=[row.density(m, place) for m, place in zip(singles, wanted, strict=True)],
        pair=row.joint(both, *pair) if pair else None,
    )


def _wanted(columns: Columns, request: EntriesRequest) -> list[int]:
    names = request.columns
    if names is None:
        return list(range(min(LIMITS["columns"], len(columns.columns))))
    return [columns.place_of(name) for name in names]


def _hidden(columns: Columns, request: EntriesRequest) -> Tensor:
    return torch.tensor([columns.place_of(name) for name in request.hidden], dtype=torch.int64)


def _pair(columns: Columns, request: EntriesRequest) -> tuple[int, int] | None:
    if request.pair is None:
        return None
    first, second = (columns.place_of(name) for name in request.pair)
    if first == second:
        raise UsageError(
            "the pair is one column twice",
            why=f"found {request.pair[0]} and {request.pair[1]}; expected two different columns",
            fix="name another one",
        )
    return first, second


@dataclass(frozen=True)
class _Row:
    """The densities of the entries of a row x (D,)."""

    columns: Columns
    x: Tensor
    generator: torch.Generator

    def density(self, mixture: Mixture, place: int) -> EntryDensity:
        column = mixture.column(place)
        axis = self._axis(column, place)
        log_density = (column.log_weights[:, None] + axis.log_density(column)).logsumexp(0)
        density = log_density.exp()
        is_number = axis.kind != "levels"
        numbers = torch.tensor([column.mean, *axis.interval(density)], dtype=torch.float64)
        mean, low, high = self.columns.in_units(place, numbers).tolist()
        return EntryDensity(
            axis=self._described(axis, place),
            density=NumberArray.of(density),
            mean=mean if is_number else None,
            interval=(low, high) if is_number else None,
            surprise=self._surprise(column, place),
        )

    def joint(self, mixture: Mixture, first: int, second: int) -> PairDensity:
        across, up = mixture.column(first), mixture.column(second)
        axes = self._axis(across, first), self._axis(up, second)
        # p(x_a, x_b | seen) = Σ_s w_s p(x_a | z_s) p(x_b | z_s)
        p_across, p_up = axes[0].log_density(across).exp(), axes[1].log_density(up).exp()
        weights = mixture.log_weights.double().exp()
        joint = (p_up * weights[:, None]).T @ p_across
        return PairDensity(
            across=self._described(axes[0], first),
            up=self._described(axes[1], second),
            log_density=NumberArray.of(joint.log()),
            draws=self._draws(mixture, first, second),
        )

    def _draws(self, mixture: Mixture, first: int, second: int) -> list[tuple[float, float]]:
        weights = mixture.log_weights.exp()
        chosen = torch.multinomial(weights, _PAIR_DRAWS, True, generator=self.generator)
        drawn = [
            self.columns.in_units(
                place, mixture.column(place).sample(self.generator)[chosen]
            ).tolist()
            for place in (first, second)
        ]
        return list(zip(*drawn, strict=True))

    def _axis(self, column: ColumnMixture, place: int) -> ColumnAxis:
        return ColumnAxis.of(self.columns.domain(place), column, fork(self.generator))

    def _described(self, axis: ColumnAxis, place: int) -> Axis:
        observed = self.columns.in_units(place, self.x[place]).item()
        return Axis(
            name=self.columns.columns[place].name,
            kind=axis.kind,
            points=self.columns.in_units(place, axis.points).tolist(),
            observed=None if self.x[place].isnan() else observed,
        )

    def _surprise(self, column: ColumnMixture, place: int) -> float | None:
        value = self.x[place, None]
        if value.isnan():
            return None
        log_p = column.log_prob(value)[:, 0] - self.columns.domain(place).log_step
        return surprise(column.log_weights, log_p).item()
