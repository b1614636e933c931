"""The default network for pictures, trained by elboroom or by a plain loop of PyTorch.

python -m benchmarks.runners.convolutions elboroom|plain PICTURES.npz RESULT.npz [OPTION=VALUE …]

The options are those of `TrainConfig`; elboroom trains by the preset `pictures` without any.
"""

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.peers.multiplications import multiplications
from benchmarks.peers.problem import Laps, write_result
from elboroom import VAE, Dataset, train
from elboroom.config import PRESETS
from elboroom.data import Identity, Part
from elboroom.data.binarisation import Binarisation
from elboroom.randomness import stream

EVENT = (3, 64, 64)
LATENTS = PRESETS["pictures"].model.latents
_LIKELIHOOD = "discretized-logistic-mixture"  # that of colour pictures of bytes


def model_of(seed: int) -> VAE:
    """Build the network of the preset, with the weights of a seed."""
    config = replace(PRESETS["pictures"].model, data_bias=False, likelihood=_LIKELIHOOD)
    return VAE.from_config(config, EVENT, generator=stream(seed, "weights"))


def count() -> int:
    """Count the multiplications of one picture, forwards."""
    model, x, z = model_of(0), torch.zeros(1, *EVENT), torch.zeros(1, LATENTS)
    both = model.encoder, model.decoder
    return multiplications(lambda: (model.encoder(x), model.decoder(z)), *both)


def main(how: str, path: str, result: str, *options: str) -> None:
    """Train, and write when each epoch began and ended."""
    given, laps = dict(np.load(path)), Laps()
    model = model_of(int(given["seed"]))
    if how == "plain":
        _plain(model, given, laps)
    else:
        _elboroom(model, given, laps, dict(option.split("=") for option in options))
    write_result(result, laps, [], [])


def _elboroom(model: VAE, given: dict[str, Any], laps: Laps, options: dict[str, Any]) -> None:
    part = Part(torch.from_numpy(given["x"]), None, Binarisation(white=255.0))
    identity = Identity("pictures", "", "none", "standard", 1)
    data = Dataset(identity, part, None, part.rows([0]))  # evaluation takes no time
    epochs = int(given["epochs"])
    timed = {
        "learning_rate": 1e-3,  # that of the recipe is for many epochs
        "warmup": 0.0,
        "compile": "on",  # as a run of the recipe does by itself; the first epoch compiles
        "evaluate_every": epochs,
    }
    config = replace(
        PRESETS["pictures"].train,
        epochs=epochs,
        batch_size=int(given["batch"]),
        seed=int(given["seed"]),
        device="cpu",
        **(timed | options),
    )

    def lap(_: object) -> None:
        laps.end()
        if len(laps.ended) < epochs:
            laps.begin()

    laps.begin()
    train(model, data, config, on_epoch=lap)


def _plain(model: VAE, given: dict[str, Any], laps: Laps) -> None:
    """Train by a loop as a plain script has it, in float32."""
    torch.manual_seed(int(given["seed"]))
    rows = TensorDataset(torch.from_numpy(given["x"]) / 255)
    loader = DataLoader(rows, batch_size=int(given["batch"]), shuffle=True)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(int(given["epochs"])):
        laps.begin()
        for (x,) in loader:
            loss = _loss(model, x)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        laps.end()


def _loss(model: VAE, x: Tensor) -> Tensor:
    mean, log_std = model.encoder(x)
    z = mean + log_std.exp() * torch.randn_like(mean)
    log_likelihood = model.likelihood(model.decoder(z)).log_prob(x)
    kl = 0.5 * (mean**2 + (2 * log_std).exp() - 1 - 2 * log_std).sum(-1)
    return (kl - log_likelihood).mean()


if __name__ == "__main__":
    main(*sys.argv[1:])
