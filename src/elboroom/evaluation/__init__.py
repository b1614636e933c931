"""Measures of a trained model and of its posteriors."""

from elboroom.evaluation.annealed_likelihood import AnnealedLikelihood, annealed_likelihood
from elboroom.evaluation.bidirectional import Certificate, certify
from elboroom.evaluation.calibration import sbc_ranks, uniformity
from elboroom.evaluation.estimate import Estimate
from elboroom.evaluation.evaluation import Evaluation
from elboroom.evaluation.inference_gap import Evidence, FitQuality, Gaps, gaps
from elboroom.evaluation.interrupts import EvaluationInterrupted
from elboroom.evaluation.latent_usage import Information
from elboroom.evaluation.likelihood import evaluate
from elboroom.evaluation.sampled_bounds import Partial, Subset

__all__ = [
    "AnnealedLikelihood",
    "Certificate",
    "Estimate",
    "Evaluation",
    "EvaluationInterrupted",
    "Evidence",
    "FitQuality",
    "Gaps",
    "Information",
    "Partial",
    "Subset",
    "annealed_likelihood",
    "certify",
    "evaluate",
    "gaps",
    "sbc_ranks",
    "uniformity",
]
