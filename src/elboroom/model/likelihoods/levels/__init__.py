"""A logistic that is rounded to the 256 levels k/255 of a byte, in location μ and scale s.

Kingma et al., *Improved variational inference with inverse autoregressive flow* (2016), section
5.2; black and white take the tails, as in Salimans et al., *PixelCNN++* (2017), equation 2.
"""

from elboroom.model.likelihoods.levels.information import information
from elboroom.model.likelihoods.levels.mass import Mass, log_mass, mass, require_first_order
from elboroom.model.likelihoods.levels.moments import LOGISTIC_STD, draw, mean_level
from elboroom.model.likelihoods.levels.values import HALF_STEP, STEPS, TAKES, are_levels

__all__ = [
    "HALF_STEP",
    "LOGISTIC_STD",
    "STEPS",
    "TAKES",
    "Mass",
    "are_levels",
    "draw",
    "information",
    "log_mass",
    "mass",
    "mean_level",
    "require_first_order",
]
