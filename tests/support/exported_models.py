"""Small models to export, away from their first weights and units."""

from typing import Any

import torch

from elboroom.config import ModelConfig
from elboroom.model.vae import VAE
from tests.support.column_cases import MIXED

PICTURE, VECTOR = (1, 6, 7), (4,)
CONV = {"network": "conv", "channels": (8,)}
LADDER = {"network": "ladder", "channels": (4,), "level_channels": (1,)}
MODELS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "mlp": (PICTURE, {}),
    "gated": (PICTURE, {"network": "gated", "normalisation": "batch"}),
    "residual": (PICTURE, {"network": "residual", "normalisation": "layer"}),
    "conv": (PICTURE, CONV | {"likelihood": "gaussian"}),
    "normalised": ((3, 6, 7), CONV | {"normalisation": "group"}),
    "ladder": (PICTURE, LADDER),
    "ladder of vectors": (VECTOR, LADDER | {"likelihood": "gaussian", "prior": "mixture"}),
    "full": (PICTURE, {"posterior": "full"}),
    "flow": (PICTURE, {"posterior": "flow"}),
    "fits": (PICTURE, {"posterior": "laplace"}),
    "continuous": (PICTURE, {"likelihood": "continuous-bernoulli"}),
    "raw": (VECTOR, {"likelihood": "gaussian", "standardise": "none"}),
    "channels": ((3, 6, 7), {"likelihood": "gaussian", "noise": 0.3}),
    "levels": (PICTURE, {"likelihood": "discretized-logistic"}),
    "colours": ((3, 6, 7), {"likelihood": "discretized-logistic-mixture"}),
    "mixture of vectors": (VECTOR, {"likelihood": "discretized-logistic-mixture"}),
    "mixture": (PICTURE, {"prior": "mixture", "components": 3}),
    "flow prior": (PICTURE, {"prior": "flow"}),
    "table": ((len(MIXED),), {"likelihood": "columns", "columns": MIXED}),
}
"""The event and the options of each model, by name."""


def exported_model(name: str, **changes: Any) -> VAE:
    """Build a model whose weights are not those of the start, and whose units are odd."""
    event, options = MODELS[name]
    generator = torch.Generator().manual_seed(0)
    config = ModelConfig(**{"hidden": (9,), "latents": 3} | options | changes)
    model = VAE.from_config(config, event, generator=generator).eval()
    with torch.no_grad():
        for weights in model.parameters():
            weights += 0.2 * torch.randn(weights.shape, generator=generator)
        for buffer, value in model.likelihood.named_buffers(recurse=True):
            if buffer.split(".")[-1] in ("location", "spread", "seen_location", "seen_spread"):
                value += 2 + torch.rand(value.shape, generator=generator)
            if buffer == "units.scale":
                value *= 3
    return model
