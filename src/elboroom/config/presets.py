"""Presets: the options of whole runs, by name."""

import math
from dataclasses import replace

from elboroom.config.data import DataConfig
from elboroom.config.kinds import Normalisation
from elboroom.config.model import ModelConfig
from elboroom.config.objective import ObjectiveConfig
from elboroom.config.run import Config
from elboroom.config.training import TrainConfig

_DYNAMIC = DataConfig(binarisation="dynamic")
_STL = ObjectiveConfig("elbo-sampled", gradient="stl")
_DREG = ObjectiveConfig("iwae", k=3, gradient="dreg")
_FREE_BITS = ObjectiveConfig(free_bits=0.25)
_ADAMAX = TrainConfig(
    optimiser="adamax",
    learning_rate=1e-2,
    clip=200.0,
    skip=math.inf,
    warmup="auto",
    keep_best=True,
)


def _within(
    minutes: float,
    model: ModelConfig,
    train: TrainConfig,
    objective: ObjectiveConfig,
    normalisation: Normalisation = "layer",
) -> Config:
    """Return a run that trains for a time on two cores.

    Its options were chosen without the test images.
    """
    return Config(
        data=replace(_DYNAMIC, validation=5_000),
        model=replace(model, activation="silu", normalisation=normalisation, data_bias=True),
        objective=objective,
        train=replace(train, epochs="auto", minutes=float(minutes), schedule="one-cycle"),
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


def _ladder(
    minutes: float,
    channels: tuple[int, int],
    levels: tuple[int, int],
    blocks: tuple[int, int],
    *,
    latents: int = 32,
    level_channels: tuple[int, int] = (2, 8),
    batch_size: int = 128,
    ema: float = 0.999,
) -> Config:
    """Return such a run of a ladder, whose levels have 14 × 14 and 7 × 7 pixels.

    Adamax with this step size, and a long warm-up of the KL, are those of Vahdat & Kautz (2020).
    None of the options was compared with others here.
    """
    model = ModelConfig(
        latents=latents,
        hidden=(),
        network="ladder",
        channels=channels,
        levels=levels,
        level_channels=level_channels,
        blocks=blocks,
    )
    train = replace(_ADAMAX, batch_size=batch_size, ema=ema)
    return _within(minutes, model, train, _FREE_BITS, "none")


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


# Pictures of any size. Options were chosen on the validation digits of `python -m benchmarks
# pictures`: 2.02 bits per dimension. Without a warm-up of the KL no latent was used, and they
# took 2.46; with half the learning rate 2.05, then with 16 or 64 latents 2.08 and 2.11; with
# one logistic for a pixel 2.77. The learning rate rises over the first tenth of the steps;
# skip=inf leaves out steps whose gradient is not finite.
_PICTURES = Config(
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
    "pictures": _PICTURES,
    # The same as a ladder, for pictures in colour that one level of latents blurs.
    "pictures-ladder": replace(
        _PICTURES,
        model=replace(_PICTURES.model, network="ladder", normalisation="none"),
        objective=_FREE_BITS,
        train=replace(_PICTURES.train, optimiser="adamax", learning_rate=1e-2),
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
    "mnist-ladder-20min": _ladder(20, (32, 64), (1, 2), (1, 2)),
    "mnist-ladder-60min": _ladder(60, (64, 64), (1, 3), (1, 2)),
    "mnist-ladder-180min": _ladder(180, (64, 128), (3, 5), (3, 4)),
    # Half an hour of one H100 or H200.
    "mnist-ladder-gpu": _ladder(
        30,
        (128, 256),
        (4, 6),
        (4, 6),
        latents=64,
        level_channels=(4, 16),
        batch_size=256,
        ema=0.9999,
    ),
    "burda-vae": _burda(ObjectiveConfig()),
    "burda-iwae-5": _burda(ObjectiveConfig("iwae", k=5)),
    "burda-iwae-50": _burda(ObjectiveConfig("iwae", k=50)),
}
