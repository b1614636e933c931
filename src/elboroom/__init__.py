"""Variational autoencoders and stochastic variational inference, with room to look inside."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from elboroom import figures, infer
    from elboroom.config import (
        PRESETS,
        Config,
        DataConfig,
        ModelConfig,
        ObjectiveConfig,
        TrainConfig,
    )
    from elboroom.data import Dataset, load_data, load_mnist
    from elboroom.data.masks import half_mask, load_mask
    from elboroom.errors import ElboroomError
    from elboroom.evaluation import Evaluation, evaluate
    from elboroom.model import VAE
    from elboroom.model.likelihoods import Bernoulli
    from elboroom.model.posteriors import DiagonalGaussian
    from elboroom.runs import Run
    from elboroom.runs.hub import from_pretrained, push_to_hub, save_pretrained
    from elboroom.runs.training import train_run
    from elboroom.training import TrainState, train
    from elboroom.training.resolve import resolve

__version__ = "0.2.0.dev0"

# Imported on first use: `elboroom --help` must not wait for PyTorch.
_HOMES = {
    "PRESETS": "config",
    "VAE": "model",
    "Bernoulli": "model.likelihoods",
    "Config": "config",
    "DataConfig": "config",
    "Dataset": "data",
    "DiagonalGaussian": "model.posteriors",
    "ElboroomError": "errors",
    "Evaluation": "evaluation",
    "ModelConfig": "config",
    "ObjectiveConfig": "config",
    "Run": "runs",
    "TrainConfig": "config",
    "TrainState": "training",
    "evaluate": "evaluation",
    "figures": "figures",
    "from_pretrained": "runs.hub",
    "half_mask": "data.masks",
    "infer": "infer",
    "load_data": "data",
    "load_mask": "data.masks",
    "load_mnist": "data",
    "push_to_hub": "runs.hub",
    "resolve": "training.resolve",
    "save_pretrained": "runs.hub",
    "train": "training",
    "train_run": "runs.training",
}

__all__ = [
    "PRESETS",
    "VAE",
    "Bernoulli",
    "Config",
    "DataConfig",
    "Dataset",
    "DiagonalGaussian",
    "ElboroomError",
    "Evaluation",
    "ModelConfig",
    "ObjectiveConfig",
    "Run",
    "TrainConfig",
    "TrainState",
    "__version__",
    "evaluate",
    "figures",
    "from_pretrained",
    "half_mask",
    "infer",
    "load_data",
    "load_mask",
    "load_mnist",
    "push_to_hub",
    "resolve",
    "save_pretrained",
    "train",
    "train_run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'elboroom' has no attribute {name!r}")
    home = import_module(f"elboroom.{_HOMES[name]}")
    return home if name == _HOMES[name] else getattr(home, name)


def __dir__() -> list[str]:
    return __all__
