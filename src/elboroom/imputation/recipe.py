"""The recipe for tables: the models that are trained, by the size of a table."""

import math
from dataclasses import replace

from elboroom.config import Config, DataConfig, ModelConfig, ObjectiveConfig, TrainConfig
from elboroom.config.checks import require

WITHHELD = 0.1
"""Share of the known entries that is withheld: half watches training, half tests the result."""
_BATCH = 256
_EVALUATIONS = 20  # of each model
_ROWS_OF_A_COLUMN = 20  # with more of them the weights of linear decoders decay by less
_LINEAR = ModelConfig(hidden=(), posterior="laplace", likelihood="columns")
_NETWORK = ModelConfig(hidden=(128,), activation="silu", likelihood="columns")
_TRAIN = TrainConfig(schedule="one-cycle", keep_best=True, compile="off")


def recipe(
    data: DataConfig, rows: int, columns: tuple[str, ...], *, seed: int = 0, effort: float = 1.0
) -> dict[str, Config]:
    """Return the config of each model that is trained on a table, by name.

    A linear decoder is what a small table can bear, and its posterior is exact. Its weights decay
    by less where there are more rows for each column. A mixture as the prior makes clusters of
    rows. A network bends, and its encoder learns of rows with gaps. The entries that are withheld
    give each model its weight.

    Args:
        data: options of the data.
        rows: N.
        columns: the likelihood of each column, (D,).
        seed: seed of the training.
        effort: factor on the steps of training.

    Raises:
        UsageError: if the effort is not positive.
    """
    require(0 < effort < math.inf, "effort", effort, "a positive number")
    at_most, decay = max(1, len(columns) - 1), min(1.0, _ROWS_OF_A_COLUMN * len(columns) / rows)
    members = {
        "linear": Config(
            model=replace(_LINEAR, latents=min(12, at_most)),
            objective=ObjectiveConfig("elbo", k=5),
            train=_training(rows, 400 * effort, rate=3e-2, decay=0.3 * decay),
        ),
        "mixture": Config(
            model=replace(_LINEAR, latents=min(6, at_most), prior="mixture", components=6),
            objective=ObjectiveConfig("elbo-sampled", k=5),
            train=_training(rows, 400 * effort, rate=3e-2, decay=0.3 * decay),
        ),
        "network": Config(
            model=replace(_NETWORK, latents=min(12, len(columns))),
            objective=ObjectiveConfig("iwae", k=5),
            train=replace(_training(rows, 800 * effort, rate=6e-3, decay=0.1), hide=0.6, ema=0.98),
        ),
    }
    return {
        name: replace(
            config,
            data=replace(data, withhold=WITHHELD),
            model=replace(config.model, columns=columns),
            train=replace(config.train, seed=seed),
        )
        for name, config in members.items()
    }


def _training(rows: int, steps: float, *, rate: float, decay: float) -> TrainConfig:
    """Return options of training for about so many steps."""
    batch = min(_BATCH, rows)
    epochs = math.ceil(steps / math.ceil(rows / batch))
    return replace(
        _TRAIN,
        epochs=epochs,
        batch_size=batch,
        optimiser="adamw",
        learning_rate=rate,
        weight_decay=decay,
        evaluate_every=max(1, epochs // _EVALUATIONS),
    )
