"""Presets: the options of whole runs, by name."""

import math
from dataclasses import replace

from elboroom.config.data import DataConfig
from elboroom.config.model import ModelConfig
from elboroom.config.objective import ObjectiveConfig
from elboroom.config.run import Config
from elboroom.config.training import TrainConfig

_DYNAMIC = DataConfig(binarisation="dynamic")
_STL = ObjectiveConfig("elbo-sampled", gradient="stl")
_DREG = ObjectiveConfig("iwae", k=3, gradient="dreg")
# The share of a preset's minutes that it trains for. The rest covers start-up and a varying speed.
_SHARE = 0.92


def _within(
    minutes: float, model: ModelConfig, train: TrainConfig, objective: ObjectiveConfig
) -> Config:
    """Return a run that trains for a time on two cores.

    Its options were chosen without the test images.
    """
    return Config(
        data=replace(_DYNAMIC, validation=5_000),
        model=replace(model, activation="silu", normalisation="layer", data_bias=True),
        objective=objective,
        train=replace(train, epochs=10_000, schedule="one-cycle"),
        minutes=round(_SHARE * minutes, 2),
    )


def _residual(
    minutes: float,
    hidden: tuple[int, ...],
    components: int,
    rate: float,
    objective: ObjectiveConfig,
) -> Config:
    """Return such a run of fully connected layers with a VampPrior."""
    model = ModelConfig(
        latents=50, hidden=hidden, network="residual", prior="vamp", components=components
    )
    return _within(minutes, model, TrainConfig(batch_size=256, learning_rate=rate), objective)


def _burda(objective: ObjectiveConfig) -> Config:
    """Return the one-layer model of Burda et al. (2016), section 5, with a shorter schedule.

    Batches of 500 gain more per epoch than batches of 100, and far more per step.
    """
    return Config(
        data=_DYNAMIC,
        model=ModelConfig(latents=50, hidden=(200, 200), data_bias=True),
        objective=objective,
        train=TrainConfig(epochs=1_200, batch_size=500, learning_rate=3e-3, schedule="one-cycle"),
    )


PRESETS: dict[str, Config] = {
    # A start for data of one's own. From a few hundred rows up, pictures and tables ended above
    # their marginals with it.
    "own": Config(
        data=DataConfig(validation="auto"),
        model=ModelConfig(latents=8, hidden=(128,), data_bias=True),
        train=TrainConfig(
            epochs="auto",
            batch_size=64,
            learning_rate=3e-3,
            schedule="one-cycle",
            evaluate_every=5,
            keep_best=True,
        ),
    ),
    # Pictures of any size. Options were chosen on the validation digits of `python -m benchmarks
    # pictures`: 2.02 bits per dimension. Without a warm-up of the KL no latent was used, and they
    # took 2.46; with half the learning rate 2.05, then with 16 or 64 latents 2.08 and 2.11; with
    # one logistic for a pixel 2.77. The learning rate rises over the first tenth of the steps;
    # skip=inf leaves out steps whose gradient is not finite.
    "pictures": Config(
        data=DataConfig(validation="auto"),
        model=ModelConfig(
            latents=32,
            hidden=(),
            activation="silu",
            network="conv",
            normalisation="layer",
            data_bias=True,
        ),
        train=TrainConfig(
            epochs="auto",
            batch_size=64,
            learning_rate=6e-3,
            schedule="one-cycle",
            clip=1_000.0,
            skip=math.inf,
            ema=0.999,
            warmup="auto",
            evaluate_every=5,
            patience=20,
            keep_best=True,
        ),
    ),
    # Kingma & Welling (2013) in two dimensions, on 10,000 digits: the reference experiment.
    "reference": Config(data=DataConfig(split="reference")),
    # The two-layer network of Burda et al. (2016), section 5, with one stochastic layer.
    "mnist": Config(
        data=_DYNAMIC,
        model=ModelConfig(latents=50, hidden=(200, 200)),
        train=TrainConfig(epochs=50, batch_size=100),
    ),
    "mnist-1min": _residual(1, (400,), 50, 1e-2, _STL),
    "mnist-5min": _residual(5, (300, 300), 300, 8e-3, _STL),
    "mnist-20min": _residual(20, (400, 400), 300, 6e-3, _DREG),
    # The prior is a mixture, as a VampPrior would encode its pseudo-inputs by convolutions at each
    # step. Chosen by the time of a step alone: no prior, objective or rate was compared.
    "mnist-conv-20min": _within(
        20,
        ModelConfig(latents=40, hidden=(), network="conv", prior="mixture", components=200),
        TrainConfig(batch_size=128, learning_rate=4e-3, ema=0.999),
        _STL,
    ),
    "burda-vae": _burda(ObjectiveConfig()),
    "burda-iwae-5": _burda(ObjectiveConfig("iwae", k=5)),
    "burda-iwae-50": _burda(ObjectiveConfig("iwae", k=50)),
}
