"""A linear-Gaussian model with a partial encoder, which is trained in a moment."""

from functools import cache

import torch

from elboroom import Dataset, ModelConfig
from elboroom.config import AmortiseConfig
from elboroom.training.amortisation import Fit, amortise
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
