"""Options of what is kept of a run while it is trained."""

from dataclasses import dataclass

from elboroom.config.checks import require


@dataclass(frozen=True)
class CheckpointConfig:
    """How often a run in training is kept; what is trained does not depend on it."""

    checkpoint_minutes: float = 0.5
    """Time between two checkpoints, which may fall within an epoch; inf goes by epochs alone."""
    checkpoint_epochs: int | None = None
    """Epochs between two checkpoints, besides; None goes by time alone. The end always has one."""

    def __post_init__(self) -> None:
        minutes, epochs = self.checkpoint_minutes, self.checkpoint_epochs
        require(minutes > 0, "checkpoint_minutes", minutes, "positive, or inf")
        require(epochs is None or epochs >= 1, "checkpoint_epochs", epochs, "1 or more")
