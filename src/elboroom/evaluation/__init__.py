"""How good a model and its posteriors are."""

from elboroom.evaluation.estimate import Estimate
from elboroom.evaluation.likelihood import Evaluation, evaluate

__all__ = ["Estimate", "Evaluation", "evaluate"]
