"""Small models and images whose posteriors chains sample."""

import torch

from elboroom.config import ModelConfig
from elboroom.model.vae import VAE
from tests.support.oracles import LinearGaussian, random_masks

EVENT = (1, 4, 4)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def linear(latents, rows=6):
    exact = LinearGaussian(pixels=5, latents=latents, seed=latents)
    return exact, exact.data(rows, seed=51), random_masks(rows, 5, seed=52)


def small_vae(seed, spread, latents=2):
    model = VAE.from_config(ModelConfig(latents, (12,)), EVENT, generator=generator(seed))
    for p in model.decoder.parameters():
        p.data *= spread
    return model.double()


def images(rows, seed):
    g = generator(seed)
    x = (torch.rand(rows, *EVENT, generator=g) < 0.4).double()
    return x, random_masks(rows, 16, seed).view(rows, *EVENT)
