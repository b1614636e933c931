"""The ELBO of the part that training is watched by."""

import torch
from torch import Tensor

from elboroom.config import ObjectiveConfig, TrainConfig
from elboroom.data import Part
from elboroom.device import autocast, prepare, world
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.training.objective import bound

_BATCH = 1_000


def held_out_elbo(model: VAE, part: Part, config: TrainConfig, epoch: int) -> float:
    """Return the mean ELBO of `part` in nats per image: one sample each, in training precision.

    Each batch of rows has draws of its own. Several processes share the batches, and the sum has
    one order, so that their number does not change it.
    """
    here, training, sums = world(), model.training, list[dict[str, Tensor]]()
    batches = torch.arange(len(part)).split(_BATCH)
    model.eval()
    for number in here.own(range(len(batches))):
        key = f"{epoch}/{number}" if number else epoch
        elbo = _elbo(model, part, batches[number], config, key)
        sums.append({"elbo": elbo})
    model.train(training)
    return sum(found["elbo"].item() for found in here.spread(sums)) / len(part)


def _elbo(model: VAE, part: Part, rows: Tensor, config: TrainConfig, key: int | str) -> Tensor:
    """Return the sum of the ELBO of some rows, ()."""
    device, dtype = prepare(config)
    generator = stream(config.seed, "held-out", key, device=device)
    x = part.batch(rows.to(part.device), generator)
    with torch.no_grad(), autocast(dtype, device):
        found = bound(model, x, part.seen(x), config=ObjectiveConfig(), generator=generator)
    return found.elbo.sum()
