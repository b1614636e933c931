"""A network of a preset, trained on pictures by elboroom or by a plain loop of PyTorch.

python -m benchmarks.runners.pictures elboroom|plain|compiled PICTURES.npz RESULT.npz [OPTION=VALUE]

The options, as many as there are, are those of `TrainConfig`; elboroom trains by the preset without
any. The plain loop has the same modules, in float32; torch.compile compiles its loss, if asked.
"""

import json
import sys
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.peers.multiplications import multiplications
from benchmarks.peers.problem import Laps, write_result
from elboroom import VAE, Dataset, train
from elboroom.config import PRESETS, BinarisationName
from elboroom.data import Identity, Part
from elboroom.data.binarisation import Binarisation
from elboroom.model.networks import LadderDecoder
from elboroom.model.networks.ladder.sizes import LadderSizes
from elboroom.model.networks.stages import stages_of
from elboroom.model.posteriors import LadderPosterior
from elboroom.randomness import stream

EVENTS: dict[str, tuple[int, int, int]] = {
    "pictures": (3, 64, 64),
    "mnist-ladder-20min": (1, 28, 28),
}
_LIKELIHOODS = {3: "discretized-logistic-mixture", 1: "bernoulli"}  # by the number of channels


def model_of(preset: str, seed: int) -> VAE:
    """Build the network of a preset, with the weights of a seed."""
    event, config = EVENTS[preset], PRESETS[preset].model
    config = replace(config, data_bias=False, likelihood=_LIKELIHOODS[event[0]])
    return VAE.from_config(config, event, generator=stream(seed, "weights"))


def describe(preset: str) -> str:
    """Return the sizes of the network of a preset, as JSON."""
    config, event = PRESETS[preset].model, EVENTS[preset]
    found: dict[str, Any] = {"kind": config.network, "latents": config.latents}
    if config.network == "ladder":
        resolutions = LadderSizes.of(config, event).resolutions
        found["resolutions"] = [
            (r.stage.channels, r.stage.height, r.levels, r.latent_channels, r.blocks)
            for r in resolutions
        ]
    else:
        found["channels"] = [stage.channels for stage in stages_of(config, event)]
    return json.dumps(found)


def count(preset: str) -> int:
    """Count the multiplications of one picture, forwards."""
    model, x = model_of(preset, 0), torch.zeros(1, *EVENTS[preset])
    z = torch.zeros(1, model.latents)
    both = model.encoder, model.decoder
    return multiplications(lambda: (model.encoder(x), model.decoder(z)), *both)


def main(how: str, path: str, result: str, *options: str) -> None:
    """Train, and write when each epoch began and ended."""
    given, laps = dict(np.load(path)), Laps()
    preset = str(given["preset"])
    model = model_of(preset, int(given["seed"]))
    if how == "elboroom":
        asked = dict(option.split("=") for option in options)
        _elboroom(model, preset, given, laps, asked)
    else:
        _plain(model, given, laps, compiled=how == "compiled")
    write_result(result, laps, [], [])


def _elboroom(
    model: VAE, preset: str, given: dict[str, Any], laps: Laps, options: dict[str, Any]
) -> None:
    draws: BinarisationName = "dynamic" if given["x"].shape[1] == 1 else "none"
    part = Part(torch.from_numpy(given["x"]), None, Binarisation(draws, white=255.0))
    identity = Identity("pictures", "", draws, "standard", 1)
    data = Dataset(identity, part, None, part.rows([0]))  # evaluation takes no time
    epochs = int(given["epochs"])
    timed = {
        "learning_rate": 1e-3,  # that of the recipe is for many epochs
        "warmup": 0.0,
        "evaluate_every": epochs,
        "keep_best": False,
        # As a run of the recipe does by itself: it pays for convolutions; the first epoch compiles.
        "compile": "off" if isinstance(model.decoder, LadderDecoder) else "on",
    }
    config = replace(
        PRESETS[preset].train,
        epochs=epochs,
        minutes=None,
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


def _plain(model: VAE, given: dict[str, Any], laps: Laps, *, compiled: bool) -> None:
    """Train by a loop as a plain script has it, in float32."""
    torch.manual_seed(int(given["seed"]))
    rows = TensorDataset(torch.from_numpy(given["x"]) / 255)
    loader = DataLoader(rows, batch_size=int(given["batch"]), shuffle=True, drop_last=True)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss_of = torch.compile(_loss) if compiled else _loss
    for _ in range(int(given["epochs"])):
        laps.begin()
        for (x,) in loader:
            loss = loss_of(model, torch.bernoulli(x) if x.shape[1] == 1 else x)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        laps.end()


def _loss(model: VAE, x: Tensor) -> Tensor:
    if isinstance(model.decoder, LadderDecoder):
        descent = cast(LadderPosterior, model.posterior(x)).descend(1, torch.default_generator)
        parameter, kl = descent.parameter[0], descent.kl.sum(0)[0]
    else:
        mean, log_std = model.encoder(x)
        z = mean + log_std.exp() * torch.randn_like(mean)
        parameter = model.decoder(z)
        kl = 0.5 * (mean**2 + (2 * log_std).exp() - 1 - 2 * log_std).sum(-1)
    return (kl - model.likelihood(parameter).log_prob(x)).mean()


if __name__ == "__main__":
    main(*sys.argv[1:])
