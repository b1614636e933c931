"""Models of every likelihood, prior and kind of network, with rows of which a part is seen."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from elboroom.config import ModelConfig
from elboroom.model.vae import VAE
from tests.support.column_cases import MIXED
from tests.support.oracles import Constant

Case = tuple[VAE, Tensor, Tensor]
"""The model, x (3, *event) with NaN where it is not seen, and the mask."""


def case(event: tuple[int, ...] = (6,), **options) -> Case:
    """Draw three rows of a model whose weights are away from their start."""
    g = torch.Generator().manual_seed(0)
    config = ModelConfig(**{"latents": 2, "hidden": (8,), **options})
    shape = config.components, *event
    images = torch.rand(shape, generator=g) if config.prior == "vamp" else None
    model = VAE.from_config(config, event, generator=g, images=images)
    for p in model.parameters():
        p.data += 0.2 * torch.randn(p.shape, generator=g)
    x = model.eval().requires_grad_(False).generate(3, generator=g)[1]
    mask = torch.rand(x.shape, generator=g) < 0.6
    return model, x.masked_fill(~mask, torch.nan), mask


def with_dropout() -> VAE:
    """A model that draws in each call, for it is in training mode."""
    decoder = nn.Sequential(nn.Linear(2, 5), nn.Dropout())
    return VAE(Constant(torch.zeros(2), torch.zeros(2)), decoder, 2).train()


CASES: dict[str, Callable[[], Case]] = {
    "bernoulli": lambda: case((1, 4, 4)),
    "continuous-bernoulli": lambda: case(likelihood="continuous-bernoulli"),
    "gaussian": lambda: case(likelihood="gaussian"),
    "discretized-logistic": lambda: case(likelihood="discretized-logistic"),
    "discretized-logistic-mixture": lambda: case(
        (3, 2, 2), likelihood="discretized-logistic-mixture"
    ),
    "columns": lambda: case((len(MIXED),), likelihood="columns", columns=MIXED),
    "mixture": lambda: case(prior="mixture", components=3),
    "vamp": lambda: case(prior="vamp", components=3),
    "flow": lambda: case(prior="flow"),
    "conv": lambda: case((1, 8, 8), network="conv", channels=(4,)),
    "ladder": lambda: case(
        (1, 8, 8), network="ladder", hidden=(), channels=(4,), level_channels=(1,), prior="mixture"
    ),
}
"""Each likelihood and prior, and kinds of networks; names that say what is special."""
