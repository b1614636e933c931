"""Everything that a run is made from, and the presets."""

import math
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any

from elboroom.config.checkpoints import CheckpointConfig
from elboroom.config.checks import require
from elboroom.config.data import DataConfig
from elboroom.config.model import ModelConfig
from elboroom.config.objective import ObjectiveConfig
from elboroom.config.tables import read, require_type
from elboroom.config.training import TrainConfig


@dataclass(frozen=True)
class Config:
    """Everything that a run is made from."""

    data: DataConfig = field(default_factory=DataConfig)
    """Data."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """Model."""
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    """Objective."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """Training."""
    checkpoints: CheckpointConfig = field(default_factory=CheckpointConfig)
    """Checkpoints."""
    minutes: float | None = None
    """Train for so long, as many epochs as fit, --epochs at the most: a copy of the model is timed
    first. None trains --epochs."""

    def __post_init__(self) -> None:
        long = self.minutes is None or 0 < self.minutes < math.inf
        require(long, "minutes", self.minutes, "a positive number")
        free = self.objective.free_bits
        summed = self.model.prior == "standard" and self.model.posterior == "diagonal"
        why = "0 but with --prior standard and --posterior diagonal, whose KL is a sum over latents"
        require(not free or summed, "free_bits", free, why)

    @classmethod
    def from_dict(cls, tables: dict[str, Any]) -> "Config":
        """Read back what `dataclasses.asdict` wrote.

        Raises:
            UsageError: an unknown option, or a value that an option cannot have.
        """
        kinds = {f.name: f.default_factory for f in fields(cls) if f.default is MISSING}
        parts = {name: read(kind, tables.get(name, {})) for name, kind in kinds.items()}  # type: ignore[arg-type]
        require_type("minutes", tables.get("minutes"), float | None)
        return cls(**parts, minutes=tables.get("minutes"))


_DYNAMIC = DataConfig(binarisation="dynamic")
_STL = ObjectiveConfig("elbo-sampled", gradient="stl")
_DREG = ObjectiveConfig("iwae", k=3, gradient="dreg")
_SHARE = 0.92  # of a preset's minutes; the rest is for start-up and for a pace that wavers


def _within(
    minutes: float,
    hidden: tuple[int, ...],
    components: int,
    rate: float,
    objective: ObjectiveConfig,
) -> Config:
    """A low NLL for a time on two cores; chosen by validation images alone."""
    return Config(
        data=replace(_DYNAMIC, validation=5_000),
        model=ModelConfig(
            latents=50,
            hidden=hidden,
            activation="silu",
            network="residual",
            normalisation="layer",
            data_bias=True,
            prior="vamp",
            components=components,
        ),
        objective=objective,
        train=TrainConfig(epochs=10_000, batch_size=256, learning_rate=rate, schedule="one-cycle"),
        minutes=round(_SHARE * minutes, 2),
    )


def _burda(objective: ObjectiveConfig) -> Config:
    """Burda et al. (2016), section 5: one stochastic layer, by a schedule that ends sooner.

    An epoch gains more in batches of 500 than of 100, a step far more.
    """
    return Config(
        data=_DYNAMIC,
        model=ModelConfig(latents=50, hidden=(200, 200), data_bias=True),
        objective=objective,
        train=TrainConfig(epochs=1_200, batch_size=500, learning_rate=3e-3, schedule="one-cycle"),
    )


PRESETS: dict[str, Config] = {
    # Kingma & Welling (2013) in two dimensions, on 10,000 digits: the reference experiment.
    "reference": Config(data=DataConfig(split="reference")),
    # The two-layer network of Burda et al. (2016), section 5, with one stochastic layer.
    "mnist": Config(
        data=_DYNAMIC,
        model=ModelConfig(latents=50, hidden=(200, 200)),
        train=TrainConfig(epochs=50, batch_size=100),
    ),
    "mnist-1min": _within(1, (400,), 50, 1e-2, _STL),
    "mnist-5min": _within(5, (300, 300), 300, 8e-3, _STL),
    "mnist-20min": _within(20, (400, 400), 300, 6e-3, _DREG),
    "burda-vae": _burda(ObjectiveConfig()),
    "burda-iwae-5": _burda(ObjectiveConfig("iwae", k=5)),
    "burda-iwae-50": _burda(ObjectiveConfig("iwae", k=50)),
}
