"""The ELBO of the part that training is watched by."""

import torch

from elboroom.config import ObjectiveConfig, TrainConfig
from elboroom.data import Part
from elboroom.device import autocast, prepare
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.training.objective import bound

_BATCH = 1_000


def held_out_elbo(model: VAE, part: Part, config: TrainConfig, epoch: int) -> float:
    """Return the mean ELBO of `part` in nats per image: one sample each, in training precision."""
    device, dtype = prepare(config)
    generator = stream(config.seed, "held-out", epoch, device=device)
    total, training = 0.0, model.training
    model.eval()
    for rows in torch.arange(len(part)).split(_BATCH):
        x = part.batch(rows.to(part.device), generator)
        with torch.no_grad(), autocast(dtype, device):
            found = bound(model, x, part.seen(x), config=ObjectiveConfig(), generator=generator)
            total += found.elbo.sum().item()
    model.train(training)
    return total / len(part)
