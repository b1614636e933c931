"""Models with a partial encoder, which is trained in a moment."""

from dataclasses import replace
from functools import cache

import torch

from elboroom import Dataset, ModelConfig
from elboroom.config import AmortiseConfig
from elboroom.model.vae import VAE
from elboroom.training.amortisation import Fit, amortise
from tests.support.ladder_cases import SMALL, ladder, numbers
from tests.support.oracles import LinearGaussian

PIXELS, LATENTS = 3, 2
NETWORKS = ModelConfig(latents=LATENTS, hidden=(48,), activation="silu")
OPTIONS = AmortiseConfig(data_share=0.0, steps=350, learning_rate=0.02)


def new_problem() -> tuple[LinearGaussian, Dataset]:
    """Return the model, and rows of it."""
    exact = LinearGaussian(PIXELS, LATENTS, seed=80)
    return exact, Dataset.from_arrays(exact.data(100, seed=1).float().numpy())


@cache
def trained_problem() -> tuple[LinearGaussian, Fit]:
    """Return the model, which holds a partial encoder trained on pairs of its own."""
    exact, data = new_problem()
    torch.manual_seed(0)
    return exact, amortise(exact.model, data, OPTIONS, NETWORKS)


PIXELS_OF_LADDER = 12
TWO_LEVELS = replace(SMALL, latents=1, levels=(1,))
OPTIONS_OF_LADDER = replace(OPTIONS, steps=120, batch_size=128, learning_rate=0.04)


def new_ladder() -> tuple[VAE, Dataset]:
    """Return a ladder of two levels of one latent each, and rows of 0 and 1."""
    model = ladder((PIXELS_OF_LADDER,), spread=0.6, latents=1, levels=(1,))
    x = numbers(100, PIXELS_OF_LADDER, seed=3) > 0
    return model, Dataset.from_arrays(x.float().numpy())


@cache
def trained_ladder() -> tuple[VAE, Fit]:
    """Return the ladder, which holds a partial encoder trained on pairs of its own."""
    model, data = new_ladder()
    return model, amortise(model, data, OPTIONS_OF_LADDER, TWO_LEVELS)
