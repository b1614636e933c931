"""Options, their defaults and the presets: the one place where they are written.

Nothing here imports anything heavy, so that `elboroom --help` answers at once.
"""

from elboroom.config.checkpoints import CheckpointConfig
from elboroom.config.commands import (
    AnnealingSchedule,
    CompleteConfig,
    EvaluateConfig,
    FigureName,
    FiguresConfig,
    GapsConfig,
    InferConfig,
)
from elboroom.config.data import BinarisationName, DataConfig, Split
from elboroom.config.kinds import (
    FitName,
    FormatName,
    LikelihoodName,
    MethodName,
    NetworkName,
    PosteriorName,
    PriorName,
)
from elboroom.config.model import Activation, ModelConfig, Normalisation
from elboroom.config.objective import Gradient, Objective, ObjectiveConfig
from elboroom.config.presets import PRESETS
from elboroom.config.run import Config
from elboroom.config.training import Compile, Device, LearningRateSchedule, Precision, TrainConfig

__all__ = [
    "PRESETS",
    "Activation",
    "AnnealingSchedule",
    "BinarisationName",
    "CheckpointConfig",
    "Compile",
    "CompleteConfig",
    "Config",
    "DataConfig",
    "Device",
    "EvaluateConfig",
    "FigureName",
    "FiguresConfig",
    "FitName",
    "FormatName",
    "GapsConfig",
    "Gradient",
    "InferConfig",
    "LearningRateSchedule",
    "LikelihoodName",
    "MethodName",
    "ModelConfig",
    "NetworkName",
    "Normalisation",
    "Objective",
    "ObjectiveConfig",
    "PosteriorName",
    "Precision",
    "PriorName",
    "Split",
    "TrainConfig",
]
