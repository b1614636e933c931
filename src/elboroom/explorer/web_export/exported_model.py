"""The model of an export: what the browser computes with, and what it cannot compute."""

import math
from typing import Any, cast

import torch
from torch import Tensor, nn

from elboroom.config import ModelConfig
from elboroom.errors import UsageError
from elboroom.explorer.explored_run import ExploredRun
from elboroom.explorer.web_export.weights import Weights
from elboroom.model.likelihoods import Bernoulli, ObservationModel
from elboroom.model.priors import MixturePrior, StandardNormal
from elboroom.model.vae import VAE
from elboroom.runs.run import Run

_COMPUTED = {
    "network": ("mlp",),
    "activation": ("tanh", "relu", "silu", "softplus", "identity"),
    "normalisation": ("none",),
    "likelihood": ("bernoulli", "gaussian"),
    "prior": ("standard", "mixture", "vamp"),
    "posterior": ("diagonal", "full"),
}
"""The options of a model whose values the browser computes, with these values."""
_MOST = {"latents": 300, "values of a row": 1_024, "weights": 8_000_000}


def require_computed(run: Run) -> None:
    """Check by its options that the browser can compute with the model of a run.

    Raises:
        UsageError: if it cannot.
    """
    if run.data.schema is not None:
        raise _not_computed("a table", "pictures or vectors")
    for name, computed in _COMPUTED.items():
        found = getattr(run.config.model, name)
        if found not in computed:
            raise _not_computed(f"--{name} {found}", " or ".join(computed))


def require_small(model: VAE) -> None:
    """Check that a browser loads a model in seconds.

    Raises:
        UsageError: if it is too large.
    """
    sizes = model.latents, math.prod(model.event_shape), sum(w.numel() for w in model.parameters())
    for (name, most), size in zip(_MOST.items(), sizes, strict=True):
        if size > most:
            raise _not_computed(f"{size:,} {name}", f"{most:,} at most")


def _not_computed(found: str, expected: str) -> UsageError:
    return UsageError(
        "this model cannot be exported to the web",
        why=f"found {found}; the browser computes {expected}",
        fix="look at it by `elboroom explore`, which knows every model",
    )


@torch.no_grad()
def describe_model(explored: ExploredRun, weights: Weights) -> dict[str, Any]:
    """Describe a model, with its arrays in `weights`."""
    model, config = explored.model, explored.run.config.model
    return {
        "latents": model.latents,
        "values": explored.values,
        "encoder": _layers(model.encoder, config, weights),
        "decoder": _layers(model.decoder, config, weights),
        "likelihood": _likelihood(model.likelihood, model.event_shape, weights),
        "prior": _prior(model, weights),
        "prior_mean": weights.add(explored.prior_mean),
        "reach": model.prior.reach,
    }


def _layers(network: nn.Module, config: ModelConfig, weights: Weights) -> list[dict[str, Any]]:
    trunk = cast(nn.Sequential, network.trunk)
    return [
        {"weight": weights.add(layer.weight), "bias": weights.add(layer.bias)}
        if isinstance(layer, nn.Linear)
        else {"activation": config.activation}
        for layer in trunk
    ]


def _likelihood(
    likelihood: ObservationModel, event_shape: tuple[int, ...], weights: Weights
) -> dict[str, Any]:
    if likelihood.density is Bernoulli:
        return {"name": "bernoulli"}
    assert likelihood.noise is not None
    units = likelihood.units
    location = torch.zeros(()) if units is None else units.location
    scale = torch.ones(()) if units is None else units.scale

    def of_values(one: Tensor) -> dict[str, int]:
        return weights.add(one.expand(event_shape))

    return {
        "name": "gaussian",
        "noise": of_values(likelihood.noise.scale),
        "location": of_values(location),
        "scale": of_values(scale),
    }


def _prior(model: VAE, weights: Weights) -> dict[str, Any]:
    prior = model.prior.fixed()
    if isinstance(prior, StandardNormal):
        return {"name": "standard"}
    assert isinstance(prior, MixturePrior)
    parts = {"logits": prior.logits, "means": prior.means, "log_stds": prior.log_stds}
    return {"name": "mixture", **{name: weights.add(part) for name, part in parts.items()}}
