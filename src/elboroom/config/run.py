"""The config of a run."""

from dataclasses import MISSING, dataclass, field, fields
from typing import Any, get_type_hints

from elboroom.config.checkpoints import CheckpointConfig
from elboroom.config.checks import require
from elboroom.config.data import DataConfig
from elboroom.config.model import ModelConfig
from elboroom.config.objective import ObjectiveConfig
from elboroom.config.options_table import folded
from elboroom.config.training import TrainConfig
from elboroom.config.typed_tables import (
    read,
    require_complete,
    require_known,
    require_type,
)
from elboroom.errors import require_instance
from elboroom.html_table import Shown, Summary

NO_ENCODER = "0 with the posterior laplace, which has no encoder that could be consistent"


@dataclass(frozen=True)
class Config(Shown):
    """Everything that a run is made from.

    Example:
        >>> from elboroom import Config
        >>> config = Config(model=networks, train=brief)
        >>> config.data.source, config.objective.objective  # what is not given has its default
        ('mnist', 'elbo')
        >>> config.differences(Config(train=brief))
        {'hidden': ((64,), (500,))}
    """

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
    init_from: str | None = None
    """Run whose newest weights the model starts from, with the model options of that run."""

    def __post_init__(self) -> None:
        free = self.objective.free_bits
        summed = self.model.prior == "standard" and self.model.posterior == "diagonal"
        why = "0 except with --prior standard and --posterior diagonal: it takes the KL per latent"
        require(not free or summed, "free_bits", free, why)
        require_moved_copies(self.objective, self.train)
        weight, encodes = self.objective.consistency, self.model.posterior != "laplace"
        require(not weight or encodes, "consistency", weight, NO_ENCODER)

    def _summary(self) -> Summary:
        parts = [f.name for f in fields(self) if f.default is MISSING]
        blocks = [folded(name, getattr(self, name)) for name in parts]
        return Summary("", {"init_from": self.init_from}, blocks)

    def differences(self, other: "Config") -> dict[str, tuple[Any, Any]]:
        """Return the options that differ in another config, by name, each with both values.

        What is auto here may have any value there.
        """
        mine, theirs = _options(self), _options(other)
        return {
            name: (value, theirs[name])
            for name, value in mine.items()
            if value not in ("auto", theirs[name])
        }

    @classmethod
    def from_dict(cls, tables: dict[str, Any]) -> "Config":
        """Read back what `dataclasses.asdict` wrote; an option that is absent has its default.

        Raises:
            UsageError: if an option is unknown or its value cannot be used.
        """
        require_known(cls, tables)
        kinds = {f.name: f.default_factory for f in fields(cls) if f.default is MISSING}
        parts = {name: read(kind, tables.get(name, {})) for name, kind in kinds.items()}  # type: ignore[arg-type]
        require_type("init_from", tables.get("init_from"), str | None)
        return cls(**parts, init_from=tables.get("init_from"))

    @classmethod
    def require_complete(cls, tables: dict[str, Any]) -> None:
        """Check that tables have every option of this version that is not None.

        Args:
            tables: what `from_dict` reads.

        Raises:
            UsageError: if an option is missing.
        """
        require_complete(cls, tables)
        for part in fields(cls):
            if part.default is MISSING:
                require_complete(part.default_factory, tables[part.name])  # type: ignore[arg-type]


def require_moved_copies(objective: ObjectiveConfig, train: TrainConfig) -> None:
    """Check that images are moved if the encoder is to be consistent under it.

    Raises:
        UsageError: if they are not.
    """
    weight, moves = objective.consistency, "--flip, --shift, --rotate or --zoom"
    moved = not weight or train.augments
    require(moved, "consistency", weight, f"0 without {moves}, which make the copy")


def _options(config: Config) -> dict[str, Any]:
    """Return all options by their names on the command line, of which no two are the same.

    What another part takes of the data by the name of an option of the data is no option.
    """
    parts = [f.name for f in fields(Config) if f.default is MISSING][::-1]
    own = {name: value for name, value in vars(config).items() if name not in parts}
    return {n: v for part in parts for n, v in _named(getattr(config, part)).items()} | own


def _named(part: Any) -> dict[str, Any]:
    """Return the options of a part by their names on the command line."""
    hints = get_type_hints(type(part), include_extras=True)
    return {_name(name, hints[name]): value for name, value in vars(part).items()}


def _name(field_name: str, hint: Any) -> str:
    """Return the name that an option has on the command line, with underscores."""
    given = (getattr(told, "name", None) for told in getattr(hint, "__metadata__", ()))
    return next((name.replace("-", "_") for name in given if name), field_name)


def require_options(found: object, kind: type) -> None:
    """Check that options are a `kind`: a `Config`, or one of its parts.

    Raises:
        UsageError: if they are anything else; it names the part of a whole `Config` that they are.
    """
    parts = {f.default_factory: f.name for f in fields(Config) if f.default is MISSING}
    fix = f"make one: {kind.__name__}(…)"
    if isinstance(found, Config) and kind in parts:
        fix = f"give its part: config.{parts[kind]}"
    elif kind is Config and type(found) in parts:
        fix = f"make one: Config({parts[type(found)]}={type(found).__name__}(…))"
    require_instance("config", found, kind, fix=fix)
