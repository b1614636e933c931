"""Amortised inference under every mask: a partial encoder is trained after a model."""

from elboroom.training.amortisation.fitting import Fit, Look, amortise

__all__ = ["Fit", "Look", "amortise"]
