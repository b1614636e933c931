"""The Ensemble: several models of one table, each with a weight."""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from elboroom.config.columns import column_likelihood
from elboroom.data.summary import counted
from elboroom.errors import UsageError
from elboroom.html_table import Shown, Summary, Table
from elboroom.model.likelihoods import TableModel
from elboroom.model.vae import VAE

_ORDERED_LEVELS = ("bernoulli", "ordinal")


@dataclass(frozen=True, repr=False)
class Ensemble(Shown):
    """Models of the same columns, whose predictive densities are mixed by their weights.

    Attributes:
        models: M models with the likelihood `columns`, in evaluation mode.
        weights: (M,), positive, of sum 1.
    """

    models: tuple[VAE, ...]
    weights: Tensor

    def __post_init__(self) -> None:
        tables = [model.likelihood for model in self.models]
        known = [table.columns for table in tables if isinstance(table, TableModel)]
        if len(known) != len(tables) or len(set(known)) != 1:
            raise UsageError(
                "these models are not of the columns of one table",
                why="expected models whose likelihood is columns, with the same columns",
                fix="train them on one table: elboroom impute TABLE, or train --data TABLE",
            )

    def _summary(self) -> Summary:
        rows = [
            (number, f"{weight:.3f}", model.latents, type(model.prior).__name__)
            for number, (model, weight) in enumerate(
                zip(self.models, self.weights.tolist(), strict=True), 1
            )
        ]
        table = Table(("model", "weight", "latents", "prior"), rows, numbers=False)
        return Summary(
            f"{counted(len(rows), 'model')} of {len(self.columns):,} columns", {}, [table]
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The likelihood of each column, (D,)."""
        return cast(TableModel, self.models[0].likelihood).columns

    @property
    def levels(self) -> dict[int, int]:
        """The number of levels of each column that has some, by its place."""
        families = dict(enumerate(map(column_likelihood, self.columns)))
        return {place: family.levels for place, family in families.items() if family.levels > 1}

    @property
    def is_level(self) -> Tensor:
        """True for a column of levels, (D,)."""
        return torch.tensor([place in self.levels for place in range(len(self.columns))])

    @property
    def is_ordered(self) -> Tensor:
        """True for a column whose values have an order, (D,)."""
        families = [column_likelihood(name).family for name in self.columns]
        ordered = [family in _ORDERED_LEVELS for family in families]
        return ~self.is_level | torch.tensor(ordered)

    @property
    def log_units(self) -> Tensor:
        """The logarithm of the unit that the density of each column is of, (D,)."""
        model = cast(TableModel, self.models[0].likelihood)
        return model(torch.zeros_like(model.start)).log_units.detach()

    def numbers_of_draws(self, total: int) -> list[int]:
        """Divide a number of draws among the models, in proportion to the weights."""
        # ⌊w S⌋ each, and one more for the largest remainders
        shares = total * self.weights.double()
        counts = shares.floor().long()
        order = (shares - counts).argsort(descending=True)
        counts[order[: total - int(counts.sum())]] += 1
        return counts.tolist()
