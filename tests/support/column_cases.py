"""Columns of each family with known units, and their densities by SciPy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy import special, stats
from torch import Tensor

from elboroom.data import Part
from elboroom.data.statistics import statistics_of
from elboroom.model.likelihoods import Table, TableModel

MIXED = (
    *("categorical:3", "gaussian", "poisson", "ordinal:4", "student-t", "bernoulli"),
    *("negative-binomial", "log-normal", "categorical:20", "gaussian", "ordinal:2"),
)
"""A table of every family, none of them side by side."""

FAMILIES = {
    "gaussian": ("gaussian",) * 3,
    "student-t": ("student-t",) * 3,
    "log-normal": ("log-normal",) * 3,
    "poisson": ("poisson",) * 3,
    "negative-binomial": ("negative-binomial",) * 3,
    "bernoulli": ("bernoulli",) * 3,
    "categorical": ("categorical:2", "categorical:5", "categorical:3"),
    "ordinal": ("ordinal:5", "ordinal:2", "ordinal:3"),
}
"""Three columns of each family; those of levels have different numbers of them."""

LOCATION = torch.tensor([0.3, -1.0, 1.5], dtype=torch.float64)
SPREAD = torch.tensor([0.5, 0.2, 0.9], dtype=torch.float64)
SCALE = torch.tensor([0.6, 1.2, 0.3], dtype=torch.float64)


def table_model(columns: tuple[str, ...]) -> TableModel:
    """Return three columns of one family with the units above, in float64."""
    model = TableModel(columns).double().requires_grad_(False)
    model.location.copy_(LOCATION)
    model.spread.copy_(SPREAD)
    if model.noise is not None:
        model.noise.initial.copy_(SCALE)
    g = torch.Generator().manual_seed(4)
    model.start += torch.randn(model.start.shape, generator=g) * 0.3
    if model.thresholds is not None:
        moves = model.thresholds.moves
        moves += torch.randn(moves.shape, generator=g) * 0.05
    return model


def outputs(model: TableModel, *leading: int, seed: int = 0) -> Tensor:
    """Draw outputs of a decoder, (*leading, E), in float64."""
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*leading, model.layout.entries, generator=g).double()


def references(model: TableModel, parameter: Tensor) -> list[Any]:
    """Return the density of each column for one output (E,), as SciPy has it."""
    name = model.layout.columns[0].family
    output = (parameter + model.start).numpy()
    if name == "categorical":
        cuts = np.cumsum([column.levels for column in model.layout.columns])[:-1]
        return [_levels(special.softmax(logits)) for logits in np.split(output, cuts)]
    if name == "ordinal":
        assert model.thresholds is not None
        rows = zip(model.thresholds().numpy(), output, strict=True)
        return [_levels(np.diff(stats.logistic.cdf(cuts - place))) for cuts, place in rows]
    numbers = zip(*(v.numpy() for v in (LOCATION, SPREAD, SCALE)), output, strict=True)
    return [DENSITIES[name](*each) for each in numbers]


def _levels(probabilities: np.ndarray) -> Any:
    return stats.rv_discrete(values=(np.arange(len(probabilities)), probabilities))


def _negative_binomial(location: float, spread: float, scale: float, output: float) -> Any:
    mean, size = np.exp(location + spread * 10 * np.tanh(output / 10)), scale**-2
    return stats.nbinom(size, size / (size + mean))


DENSITIES: dict[str, Callable[[float, float, float, float], Any]] = {
    "gaussian": lambda m, s, scale, y: stats.norm(m + s * y, s * scale),
    "student-t": lambda m, s, scale, y: stats.t(5, m + s * y, s * scale),
    "log-normal": lambda m, s, scale, y: stats.lognorm(s * scale, scale=np.exp(m + s * y)),
    "poisson": lambda m, s, scale, y: stats.poisson(np.exp(m + s * 10 * np.tanh(y / 10))),
    "negative-binomial": _negative_binomial,
    "bernoulli": lambda m, s, scale, y: stats.bernoulli(special.expit(y)),
}


def mixed_rows(rows: int, seed: int = 0) -> Tensor:
    """Draw rows of `MIXED`, (rows, 11), that hang together."""
    g = np.random.default_rng(seed)
    z, other = g.normal(size=(2, rows))
    columns = [
        np.clip(np.round(z + 1), 0, 2),
        36.8 + 0.4 * z,
        g.poisson(np.exp(0.5 + other)),
        np.clip(np.round(other + 1.5), 0, 3),
        5e4 + 2e3 * (z + g.standard_t(4, rows)),
        z > 0,
        g.negative_binomial(2, 0.1, rows),
        np.exp(2 * other),
        g.integers(0, 20, rows),
        other - z,
        other > 0.5,
    ]
    return torch.tensor(np.stack(columns, 1), dtype=torch.float32)


def with_gaps(x: Tensor, share: float = 0.3, seed: int = 0) -> Tensor:
    """Return the rows with a share of the values missing."""
    g = torch.Generator().manual_seed(seed)
    return x.masked_fill(torch.rand(x.shape, generator=g) < share, torch.nan)


def measured(columns: tuple[str, ...], x: Tensor) -> TableModel:
    """Return the model of a table, measured on some rows."""
    model = TableModel(columns)
    model.measure(statistics_of(Part(x, None), model.measured))
    return model


def density_of(model: TableModel, *leading: int, seed: int = 0) -> Table:
    """Return the densities of some outputs."""
    return model(outputs(model, *leading, seed=seed).to(model.start))
