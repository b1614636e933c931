"""The progress of a training, which its schedules follow."""

from dataclasses import dataclass

from elboroom.config import TrainConfig


@dataclass(frozen=True)
class Progress:
    """The part of a training that has passed.

    Attributes:
        epochs: number of epochs.
        share: share of the whole training, in [0, 1].
    """

    epochs: float
    share: float

    @classmethod
    def of_epochs(cls, epochs: float, config: TrainConfig) -> "Progress":
        """Return the progress after some epochs of a training by epochs."""
        return cls(epochs, epochs / config.resolved_epochs)
