"""pythae's convolutional VAE for 64 × 64 × 3, trained by its own trainer.

python pythae_convolutions.py PICTURES.npz RESULT.npz

The networks are those that pythae has for CelebA, but for their widths: they are all scaled alike,
so that the multiplications of a picture come as close as possible to the given number.
"""

import sys
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from multiplications import multiplications
from problem import write_result
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn.benchmarks.celeba import Decoder_Conv_AE_CELEBA, Encoder_Conv_VAE_CELEBA
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae_vae import Timer
from torch import Tensor, nn

_WIDEST = 1024  # channels of pythae's own


class Decoder(Decoder_Conv_AE_CELEBA):
    """pythae's decoder, whose first feature maps have any number of channels."""

    def forward(self, z: Tensor, output_layer_levels: list[int] | None = None) -> ModelOutput:
        """Compute the picture, (B, 3, 64, 64)."""
        first, *rest = self.layers
        out = first(z).unflatten(-1, (-1, 8, 8))
        for layer in rest:
            out = layer(out)
        return ModelOutput(reconstruction=out)


def main(path: str, result: str) -> None:
    """Train, and write when each epoch began and ended."""
    given = dict(np.load(path))
    torch.manual_seed(int(given["seed"]))
    model = _of_multiplications(int(given["latents"]), int(given["multiplications"]))
    x, timer = torch.from_numpy(given["x"]) / 255, Timer()
    with tempfile.TemporaryDirectory() as folder:
        config = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=int(given["epochs"]),
            per_device_train_batch_size=int(given["batch"]),
            learning_rate=1e-3,
            seed=int(given["seed"]),
            no_cuda=True,
        )
        dataset = BaseDataset(x, torch.zeros(len(x)))
        BaseTrainer(model, dataset, training_config=config, callbacks=[timer]).train()
    write_result(result, timer.laps, [], [])


def _of_multiplications(latents: int, wanted: int) -> VAE:
    """Return the model whose multiplications are closest to those wanted."""
    with torch.device("meta"):
        counts = {width: _count(_model(latents, width)) for width in range(8, 513, 8)}
    width = min(counts, key=lambda width: abs(counts[width] - wanted))
    print(f"widest layer {width}: {counts[width]:,} multiplications; {wanted:,} wanted")
    return _model(latents, width)


def _count(model: VAE) -> int:
    x, z = torch.zeros(1, 3, 64, 64), torch.zeros(1, model.latent_dim)
    model.eval()
    both: Callable[[], object] = lambda: (model.encoder(x), model.decoder(z))  # noqa: E731
    return multiplications(both, model.encoder, model.decoder)


def _model(latents: int, widest: int) -> VAE:
    """Build the model; its widest layer has `widest` channels in the place of 1,024."""
    config = VAEConfig(input_dim=(3, 64, 64), latent_dim=latents)
    with torch.device("meta"):
        networks = Encoder_Conv_VAE_CELEBA(config), Decoder(config)
    for network in networks:
        _scale(network, lambda width: width * widest // _WIDEST if width >= 128 else width)
    return VAE(config, *networks)


def _scale(network: nn.Module, scaled: Callable[[int], int]) -> None:
    """Replace every layer that has weights by one of other widths."""
    for name, layer in network.named_children():
        if isinstance(layer, nn.Linear):
            new = nn.Linear(scaled(layer.in_features), scaled(layer.out_features))
        elif isinstance(layer, nn.BatchNorm2d):
            new = nn.BatchNorm2d(scaled(layer.num_features))
        elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            new = _convolution(layer, scaled)
        else:
            _scale(layer, scaled)
            continue
        setattr(network, name, new)


def _convolution(layer: Any, scaled: Callable[[int], int]) -> nn.Module:
    names = ["kernel_size", "stride", "padding"]
    names += ["output_padding"] * isinstance(layer, nn.ConvTranspose2d)
    options = {name: getattr(layer, name) for name in names}
    return type(layer)(scaled(layer.in_channels), scaled(layer.out_channels), **options)


if __name__ == "__main__":
    main(*sys.argv[1:])
