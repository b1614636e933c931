"""Training: maximise a bound on log p(x)."""

from elboroom.training.loop import train
from elboroom.training.metrics import EpochMetrics
from elboroom.training.state import TrainState, new_state

__all__ = ["EpochMetrics", "TrainState", "new_state", "train"]
