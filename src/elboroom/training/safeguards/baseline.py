"""A warning after training: the held-out bound is below that of independent marginals.

The marginals have one density for each value, of the family of the model, with the mean and the
spread of the training part. They know nothing of how values go together, and cost nothing.
"""

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.config import WIDTHS, TrainConfig
from elboroom.data import Dataset, Part
from elboroom.data.statistics import Statistics, statistics_of
from elboroom.model.likelihoods import (
    LEAST_NOISE,
    Likelihood,
    ObservationModel,
    Standardised,
    TableModel,
    Units,
)
from elboroom.training.metrics import EpochMetrics
from elboroom.training.safeguards.early_stopping import final_epoch

_ROWS = 10_000  # rows of each part at most, evenly spaced
_AT_A_TIME = 1_000
_ERRORS = 2.0  # standard errors of the marginals' mean that may be chance


@dataclass(frozen=True)
class Baseline:
    """The mean log-density of held-out rows under independent marginals, in nats per row."""

    log_prob: float
    standard_error: float
    name: str


def warn_if_below_baseline(
    likelihood: ObservationModel,
    data: Dataset,
    history: list[EpochMetrics],
    config: TrainConfig,
) -> None:
    """Warn if the final held-out ELBO is below the baseline by more than its standard errors.

    Args:
        likelihood: the model's p(x | z).
        data: the data that the model was trained on.
        history: metrics of the finished epochs.
        config: options of training.
    """
    final = final_epoch(history, config)
    last = None if final is None else final.held_out_elbo
    found = None if last is None else baseline(likelihood, data)
    if found is None or last is None:
        return
    if not last < found.log_prob - _ERRORS * found.standard_error:
        return
    each = f"nats per {data.noun}"
    warnings.warn(
        f"the {data.watched_by}, {last:,.2f} {each}, is below that of {found.name}, "
        f"{found.log_prob:,.2f}: the model knows less than the mean and the spread of each value. "
        f"{_advice(history, config)}",
        stacklevel=3,
    )


def baseline(likelihood: ObservationModel, data: Dataset) -> Baseline | None:
    """Evaluate the marginals on the held-out part; return None if there are none.

    There are none for a function, whose family is unknown, and none with a scale if all training
    rows are the same.
    """
    statistics = statistics_of(_some(data.train), likelihood.measured)
    is_table = isinstance(likelihood, TableModel)
    has_scale = bool((statistics.std > 0).any()) or is_table or not likelihood.density.has_scale
    if likelihood.density is Likelihood or not has_scale:
        return None
    marginals = marginals_of(likelihood, statistics)
    held_out = _some(data.held_out[1])
    parts = [marginals.log_prob(x.double(), mask) for x, mask in _scored(held_out)]
    values = torch.cat(parts)
    spread = values.std().item() if len(values) > 1 else 0.0
    return Baseline(
        values.mean().item(), spread / math.sqrt(len(values)), _name(likelihood.density)
    )


def marginals_of(likelihood: ObservationModel, statistics: Statistics) -> Likelihood:
    """Return the density of independent values with the given means and spreads, (1, *event).

    The statistics are those of `ObservationModel.measured`.
    """
    if isinstance(likelihood, TableModel):
        return likelihood.marginals(statistics)
    kind, make = likelihood.density, likelihood.kind
    mean, count = statistics.mean, statistics.count
    if not kind.has_scale:
        # One row more, half of each kind, keeps probabilities away from 0 and 1.
        mean = (mean.nan_to_num(0.5) * count + 0.5) / (count + 1)
        return make(kind.parameter_of(mean, statistics.std.nan_to_num())[None])
    scale = kind.scale_of(statistics.std.nan_to_num().maximum(LEAST_NOISE * statistics.scale))
    if kind.bounded:
        return make(kind.parameter_of(statistics.location, statistics.std)[None], scale)
    units = Units(tuple(mean.shape)).double()
    units.measure(statistics)
    parameter = torch.zeros_like(mean)[None]
    return Standardised(make(parameter, scale / units.scale), units)


def _some(part: Part) -> Part:
    """Return a part of at most 10,000 rows, evenly spaced."""
    if len(part) <= _ROWS:
        return part
    return part.rows(torch.linspace(0, len(part) - 1, _ROWS).long().unique().tolist())


def _scored(part: Part) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yield rows with the values that the model is scored by: all known ones, or the withheld."""
    start = 0
    for x in part.split(_AT_A_TIME):
        end = start + len(x)
        yield x, part.seen(x) if part.withheld is None else part.withheld[start:end]
        start = end


def _name(kind: type[Likelihood]) -> str:
    names = {
        "Columns": "independent columns",
        "GaussianPixels": "independent Gaussians",
        "DiscretizedLogisticMixture": "independent pixels with their own means",
    }
    return names.get(kind.__name__, "independent values with their own means")


def _advice(history: list[EpochMetrics], config: TrainConfig) -> str:
    """Return what to change: more steps where the ELBO still rose, else fewer."""
    elbos = [m.held_out_elbo for m in history if m.held_out_elbo is not None]
    if elbos[-1] >= max(elbos):
        return "It still rose: train with more --epochs, or a higher --learning-rate."
    if config.keep_best:  # these are the best weights already
        return f"Give more rows, or use fewer --latents or a smaller {WIDTHS}."
    return (
        f"It was higher before: use --best, --patience 3 or a smaller {WIDTHS}, or begin at the "
        "marginals with --data-bias."
    )
