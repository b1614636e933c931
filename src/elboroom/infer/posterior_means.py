"""The encoder's posterior means of all rows of some data."""

import torch
from torch import Tensor

from elboroom.data import Part
from elboroom.model.vae import VAE

_ENCODED_TOGETHER = 500


@torch.no_grad()
def posterior_means(model: VAE, part: Part) -> Tensor:
    """Compute E_q[z] of all rows of a part, (N, D).

    Some are encoded at a time: a layer's values of all may not fit in memory.
    """
    batches = part.split(_ENCODED_TOGETHER)
    return torch.cat([model.posterior(x, part.seen(x)).mean for x in batches])
