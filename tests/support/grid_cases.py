"""Models and images with one or two latents, for the grid."""

import torch

from elboroom.config import ModelConfig
from elboroom.model.vae import VAE
from tests.support.oracles import LinearGaussian, random_masks

EVENT = (1, 4, 4)


def generator():
    return torch.Generator().manual_seed(0)


def problem(latents, rows=6):
    exact = LinearGaussian(pixels=5, latents=latents, seed=20 + latents)
    return exact, exact.data(rows, seed=21), random_masks(rows, 5, seed=22)


def small_vae(seed, latents, gain, rows=4):
    g = torch.Generator().manual_seed(seed)
    model = VAE.from_config(ModelConfig(latents, (8,)), EVENT, generator=g)
    for p in model.decoder.parameters():
        p.data *= gain
    x = (torch.rand(rows, *EVENT, generator=g) < 0.5).float()
    mask = torch.rand(rows, *EVENT, generator=g) < 0.7
    mask[0], mask[-1] = False, True
    return model, x, mask
