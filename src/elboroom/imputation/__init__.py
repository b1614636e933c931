"""Tables with gaps: models that are trained on them, what they fill in, and how good it is."""

from elboroom.imputation.ensemble import Ensemble
from elboroom.imputation.imputation import Imputation, impute
from elboroom.imputation.recipe import recipe
from elboroom.imputation.scores import RowScores, score_rows, surprises
from elboroom.imputation.training import ensemble_of, train_ensemble

__all__ = [
    "Ensemble",
    "Imputation",
    "RowScores",
    "ensemble_of",
    "impute",
    "recipe",
    "score_rows",
    "surprises",
    "train_ensemble",
]
