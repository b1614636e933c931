"""Mixtures over z of the densities of columns, given all seen entries of a row but some."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.explorer.api.inference import Inference, infer_rows
from elboroom.explorer.column_mixture import Mixture
from elboroom.explorer.explored_run import ExploredRun

_DRAWS = 2_000  # of z

Places = tuple[int, ...]
"""The places of some columns."""


@dataclass(frozen=True)
class Mixtures:
    """The posterior of one row, from which seen entries can be left out.

    Attributes:
        explored: the run.
        inferred: the posterior given all seen entries.
        x: the seen entries of the row, (D,); NaN for others.
        generator: random generator of inference without entries.
    """

    explored: ExploredRun
    inferred: Inference
    x: Tensor
    generator: torch.Generator

    def without(self, sets: Sequence[Places]) -> list[Mixture]:
        """Return the mixture given all seen entries but those of each set of columns.

        Draws given all are weighted anew. Where their weights cannot be relied on, z is inferred
        again, by the same method.
        """
        sets = [tuple(p for p in places if not self.x[p].isnan()) for places in sets]
        whole = Mixture.of(self.explored.model, self.inferred.posterior.sample(_DRAWS)[:, 0])
        found = {places: whole.without(places, self.x) for places in dict.fromkeys(sets)}
        doubtful = [places for places, mixture in found.items() if not mixture.is_reliable]
        found |= zip(doubtful, self._inferred_without(doubtful), strict=True)
        return [found[places] for places in sets]

    def _inferred_without(self, sets: Sequence[Places]) -> list[Mixture]:
        if not sets:
            return []
        model, x = self.explored.model, self.x.expand(len(sets), -1).clone()
        for row, places in zip(x, sets, strict=True):
            row[list(places)] = torch.nan
        x = x.unflatten(1, model.event_shape)
        posterior = infer_rows(
            self.explored, self.inferred.method, x.nan_to_num(), ~x.isnan(), self.generator
        )
        return [Mixture.of(model, z) for z in posterior.sample(_DRAWS).unbind(1)]
