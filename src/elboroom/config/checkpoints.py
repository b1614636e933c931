"""Options of checkpoints."""

from dataclasses import dataclass

from elboroom.config.checks import require
from elboroom.config.options_table import Options
from elboroom.config.typed_tables import require_types


@dataclass(frozen=True)
class CheckpointConfig(Options):
    """Options of saving a run in training; the trained model does not depend on them."""

    checkpoint_minutes: float = 0.5
    """Minutes between two checkpoints, also within an epoch; inf saves by epochs alone."""
    checkpoint_epochs: int | None = None
    """Epochs between two checkpoints; None saves by time alone. The last step is always saved."""

    def __post_init__(self) -> None:
        require_types(self)
        minutes, epochs = self.checkpoint_minutes, self.checkpoint_epochs
        require(minutes > 0, "checkpoint_minutes", minutes, "positive, or inf")
        require(epochs is None or epochs >= 1, "checkpoint_epochs", epochs, "1 or more")
