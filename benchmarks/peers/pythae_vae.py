"""A VAE trained by pythae's own trainer, with the encoder and decoder of the problem.

python pythae_vae.py PROBLEM.npz RESULT.npz

Its trainer keeps a copy of the best model after each epoch, which is not counted.
"""

import sys
import tempfile
from typing import Any

import torch
from problem import RATE, Laps, Problem, write_result
from pythae.data.datasets import BaseDataset
from pythae.models import IWAE, VAE, IWAEConfig, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from torch import Tensor, nn
from torch_networks import layers_of, network


class Encoder(BaseEncoder):
    """x (B, P) → means and logarithms of variances of z."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, x: Tensor) -> ModelOutput:
        """Return mean and log-variance, each (B, D)."""
        mean, log_std = self.trunk(x).chunk(2, -1)
        return ModelOutput(embedding=mean, log_covariance=2 * log_std)


class Decoder(BaseDecoder):
    """z (B, D) → probabilities of pixels."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, z: Tensor) -> ModelOutput:
        """Return the probabilities of the pixels, (B, P)."""
        return ModelOutput(reconstruction=self.trunk(z).sigmoid())


class Timer(TrainingCallback):
    """A callback that records when the first step of each epoch began and the last one ended."""

    def __init__(self) -> None:
        self.laps = Laps()

    def on_train_step_begin(self, training_config: Any, **kwargs: Any) -> None:
        """Called once an epoch."""
        self.laps.begin()

    def on_train_step_end(self, training_config: Any, **kwargs: Any) -> None:
        """Called once a step."""
        del self.laps.ended[len(self.laps.began) - 1 :]
        self.laps.end()


def main(path: str, result: str) -> None:
    """Train, and write what came of it."""
    problem = Problem.read(path)
    model, timer = _model(problem), Timer()
    x = torch.from_numpy(problem.x)
    with tempfile.TemporaryDirectory() as folder:
        config = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=problem.epochs,
            per_device_train_batch_size=problem.batch,
            learning_rate=RATE,
            seed=problem.seed,
            no_cuda=True,
        )
        dataset = BaseDataset(x, torch.zeros(len(x)))
        BaseTrainer(model, dataset, training_config=config, callbacks=[timer]).train()
    write_result(result, timer.laps, layers_of(model.encoder), layers_of(model.decoder))


def _model(problem: Problem) -> VAE:
    sizes = {"input_dim": problem.x.shape[1:], "latent_dim": problem.latents}
    encoder = Encoder(network(problem.encoder, problem.activation))
    decoder = Decoder(network(problem.decoder, problem.activation))
    if problem.particles == 1:
        config = VAEConfig(**sizes, reconstruction_loss="bce")
        return VAE(config, encoder, decoder)
    config = IWAEConfig(**sizes, reconstruction_loss="bce", number_samples=problem.particles)
    return IWAE(config, encoder, decoder)


if __name__ == "__main__":
    main(*sys.argv[1:])
