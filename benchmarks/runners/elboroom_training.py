"""elboroom's own training run of a problem, in a process of its own.

python -m benchmarks.runners.elboroom_training PROBLEM.npz RESULT.npz [eager|compiled]
"""

import sys
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from benchmarks.peers.problem import RATE, Laps, Layers, Problem, write_result
from elboroom import VAE, Dataset, ModelConfig, ObjectiveConfig, TrainConfig, train
from elboroom.data import Identity, Part
from elboroom.model.networks.coders import Decoder, Encoder
from elboroom.randomness import stream

EVENT = (1, 28, 28)
_CHOICES: dict[str, dict[str, Any]] = {
    "": {},
    "compiled": {"compile": "on"},
    "eager": {"compile": "off", "precision": "fp32"},
}


def main(path: str, result: str, how: str = "") -> None:
    """Train, and write the result."""
    problem = Problem.read(path)
    x = torch.from_numpy(problem.x).unflatten(1, EVENT)
    part = Part(x, None)
    identity = Identity("mnist", "", "threshold", "standard", 1)
    data = Dataset(identity, part, None, part.rows([0]))  # evaluation takes no time
    model, laps = model_of(problem.encoder, problem.decoder, problem.activation), Laps()

    def lap(_: object) -> None:
        laps.end()
        if len(laps.ended) < problem.epochs:
            laps.begin()

    config, objective = config_of(problem, how), objective_of(problem.particles)
    laps.begin()
    train(model, data, config, objective=objective, on_epoch=lap)
    write_result(result, laps, layers_of(model.encoder), layers_of(model.decoder))


def config_of(problem: Problem, how: str = "") -> TrainConfig:
    """Return its options on a processor; `how` replaces those that the library chooses."""
    config = TrainConfig(
        epochs=problem.epochs,
        batch_size=problem.batch,
        learning_rate=RATE,
        seed=problem.seed,
        evaluate_every=problem.epochs,
        device="cpu",
    )
    return replace(config, **_CHOICES[how])


def objective_of(particles: int) -> ObjectiveConfig:
    """Return the ELBO for one particle, the IWAE bound for more."""
    return ObjectiveConfig() if particles == 1 else ObjectiveConfig("iwae", k=particles)


def model_of(encoder: Layers, decoder: Layers, activation: str) -> VAE:
    """Build the model with those weights, whoever trained them."""
    hidden = tuple(len(bias) for _, bias in encoder[:-1])
    latents = decoder[0][0].shape[1]
    config = ModelConfig(latents=latents, hidden=hidden, activation=activation)  # type: ignore[arg-type]
    model = VAE.from_config(config, EVENT, generator=stream(0, "weights"))
    for network, layers in ((model.encoder, encoder), (model.decoder, decoder)):
        for linear, values in zip(_linears(network), layers, strict=True):
            linear.weight, linear.bias = (nn.Parameter(torch.tensor(v)) for v in values)
    return model


def layers_of(network: nn.Module) -> Layers:
    """Return the weights and biases of all layers."""
    return [
        (linear.weight.detach().numpy(), linear.bias.detach().numpy())
        for linear in _linears(network)
    ]


def _linears(network: nn.Module) -> list[nn.Linear]:
    assert isinstance(network, Encoder | Decoder)
    return [layer for layer in network.trunk.modules() if isinstance(layer, nn.Linear)]


if __name__ == "__main__":
    main(*sys.argv[1:])
