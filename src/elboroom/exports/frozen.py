"""A copy of a model that stays as it is."""

import copy

from elboroom.model.vae import VAE


def frozen(model: VAE) -> VAE:
    """Return a copy in evaluation mode with constant weights.

    Later training of the model leaves it as it is.
    """
    return copy.deepcopy(model).eval().requires_grad_(False).fixed()
