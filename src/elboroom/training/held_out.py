"""The score of the part that training is watched by: its ELBO, or that of withheld entries."""

import math

import torch
from torch import Tensor

from elboroom.config import ObjectiveConfig, TrainConfig
from elboroom.data import Part
from elboroom.device import autocast, prepare, world
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.training.objective import bound

_BATCH = 1_000
_DOUBT = 0.05
_DRAWS = 100  # for withheld entries: fewer add noise, more cost time
_WATCHED = 2_000  # rows whose withheld entries are scored: more would take longer than training


def held_out_elbo(model: VAE, part: Part, config: TrainConfig, epoch: int) -> float:
    """Return the mean ELBO of `part` in nats per image: one sample each, in training precision.

    Of a part with withheld entries it is the mean over rows of the sum of `withheld_scores`; of a
    long one it is from 2,000 rows at random, the same in every epoch.

    Each batch of rows has draws of its own. Several processes share the batches, and the sum has
    one order, so that their number does not change it.
    """
    here, training, sums = world(), model.training, list[dict[str, Tensor]]()
    rows = _watched(part, config)
    batches = rows.split(_BATCH)
    model.eval()
    for number in here.own(range(len(batches))):
        key = f"{epoch}/{number}" if number else epoch
        if part.withheld is None:
            sums.append({"elbo": _elbo(model, part, batches[number], config, key)})
        else:
            sums.append({"elbo": _withheld(model, part, batches[number], config)})
    model.train(training)
    return sum(found["elbo"].item() for found in here.spread(sums)) / len(rows)


def _watched(part: Part, config: TrainConfig) -> Tensor:
    """Return the rows that are scored, in order."""
    if part.withheld is None or len(part) <= _WATCHED:
        return torch.arange(len(part))
    shuffled = torch.randperm(len(part), generator=stream(config.seed, "watched"))
    return shuffled[:_WATCHED].sort().values


def _elbo(model: VAE, part: Part, rows: Tensor, config: TrainConfig, key: int | str) -> Tensor:
    """Return the sum of the ELBO of some rows, ()."""
    device, dtype = prepare(config)
    generator = stream(config.seed, "held-out", key, device=device)
    x = part.batch(rows.to(part.device), generator)
    with torch.no_grad(), autocast(dtype, device):
        found = bound(model, x, part.seen(x), config=ObjectiveConfig(), generator=generator)
    return found.elbo.sum()


def _withheld(model: VAE, part: Part, rows: Tensor, config: TrainConfig) -> Tensor:
    """Return the sum of the scores of the withheld entries of some rows, ()."""
    device, dtype = prepare(config)
    # The same draws after every epoch: their noise cancels from a comparison of two epochs.
    generator = stream(config.seed, "withheld", int(rows[0]), device=device)
    assert part.withheld is not None
    x, withheld = part.batch(rows.to(part.device), generator), part.withheld[rows].to(device)
    with torch.no_grad(), autocast(dtype, device):
        return withheld_scores(model, x, withheld, _DRAWS, generator).sum()


def withheld_scores(
    model: VAE, x: Tensor, withheld: Tensor, draws: int, generator: torch.Generator
) -> Tensor:
    """Score each withheld entry by log [0.95 p(x_i | x_seen) + 0.05 p_wide(x_i)], (B, *event).

    The second density is that of independent values with wide scales. Without it a few entries far
    from all that a model expects would decide, by their squares, which model is the best.

    Args:
        model: the model.
        x: (B, *event); entries that are not withheld are seen, but for NaN.
        withheld: True for an entry that is scored, like `x`.
        draws: number of draws of z for each row.
        generator: random generator of the draws.

    Returns:
        Nats; 0 for entries that are not withheld.
    """
    mask = ~x.isnan() & ~withheld
    found = model.log_predictive(x, mask, withheld, draws, generator=generator)
    wide = model.likelihood.wide(x).log_prob_per_value(x, withheld)
    mixed = torch.logaddexp(found + math.log1p(-_DOUBT), wide + math.log(_DOUBT))
    return mixed.masked_fill(~withheld, 0.0)
