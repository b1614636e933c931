"""Everything that a run is made from, and the presets."""

from dataclasses import dataclass, field, fields
from typing import Any

from elboroom.config.data import DataConfig
from elboroom.config.model import ModelConfig
from elboroom.config.objective import ObjectiveConfig
from elboroom.config.training import TrainConfig
from elboroom.errors import UsageError


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

    @classmethod
    def from_dict(cls, tables: dict[str, dict[str, Any]]) -> "Config":
        """Read back what `dataclasses.asdict` wrote; an unknown option is a `UsageError`."""
        parts = {f.name: _part(f.default_factory, tables.get(f.name, {})) for f in fields(cls)}  # type: ignore[arg-type]
        return cls(**parts)


def _part(kind: type[Any], table: dict[str, Any]) -> Any:
    known = {f.name for f in fields(kind)}
    if set(table) - known:
        raise UsageError(
            f"unknown option {', '.join(sorted(set(table) - known))} in a config",
            why=f"{kind.__name__} has {', '.join(sorted(known))}",
            fix="remove it, or read the run with the version of elboroom that wrote it",
        )
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in table.items()})


PRESETS: dict[str, Config] = {
    # Kingma & Welling (2013) in two dimensions, on 10,000 digits: the reference experiment.
    "reference": Config(data=DataConfig(split="reference")),
    # The two-layer network of Burda et al. (2015), section 5, with one stochastic layer.
    "mnist": Config(
        data=DataConfig(binarisation="dynamic"),
        model=ModelConfig(latents=50, hidden=(200, 200)),
        train=TrainConfig(epochs=50, batch_size=100),
    ),
}
