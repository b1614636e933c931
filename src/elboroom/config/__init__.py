"""Options, their defaults and the presets, each written once.

This package imports nothing heavy, so that `elboroom --help` answers at once.
"""

from elboroom.config.checkpoints import CheckpointConfig
from elboroom.config.commands import (
    AmortiseConfig,
    CompleteConfig,
    EvaluateConfig,
    ExploreConfig,
    ExportConfig,
    FiguresConfig,
    GapsConfig,
    ImputeConfig,
    InferConfig,
    PackConfig,
    ScoreConfig,
)
from elboroom.config.data import DataConfig
from elboroom.config.kinds import (
    Activation,
    AnnealingSchedule,
    BinarisationName,
    Device,
    FigureName,
    FitName,
    LearningRateSchedule,
    LikelihoodName,
    MethodName,
    NetworkName,
    OptimiserName,
    PartialFamilyName,
    PartName,
    PosteriorName,
    Precision,
    PriorName,
    Split,
    Standardise,
    TrackerName,
    ValueKind,
)
from elboroom.config.model import WIDTHS, ModelConfig
from elboroom.config.objective import ObjectiveConfig
from elboroom.config.presets import PRESETS
from elboroom.config.run import Config
from elboroom.config.tracking import TrackOption
from elboroom.config.training import TrainConfig

__all__ = [
    "PRESETS",
    "WIDTHS",
    "Activation",
    "AmortiseConfig",
    "AnnealingSchedule",
    "BinarisationName",
    "CheckpointConfig",
    "CompleteConfig",
    "Config",
    "DataConfig",
    "Device",
    "EvaluateConfig",
    "ExploreConfig",
    "ExportConfig",
    "FigureName",
    "FiguresConfig",
    "FitName",
    "GapsConfig",
    "ImputeConfig",
    "InferConfig",
    "LearningRateSchedule",
    "LikelihoodName",
    "MethodName",
    "ModelConfig",
    "NetworkName",
    "ObjectiveConfig",
    "OptimiserName",
    "PackConfig",
    "PartName",
    "PartialFamilyName",
    "PosteriorName",
    "Precision",
    "PriorName",
    "ScoreConfig",
    "Split",
    "Standardise",
    "TrackOption",
    "TrackerName",
    "TrainConfig",
    "ValueKind",
]
