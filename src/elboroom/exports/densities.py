"""The densities p(x | z) in words and formulas, by the names of a decoder's outputs."""

from typing import NamedTuple

from elboroom.model.likelihoods import LIKELIHOOD_CLASSES, Likelihood, VectorMixture
from elboroom.model.likelihoods.columns.student_t import DEGREES_OF_FREEDOM


class Formula(NamedTuple):
    """A density, and what its parameters are.

    Attributes:
        density: log p of a value, or of an event, in nats.
        parameters: the meaning of each parameter by its name.
    """

    density: str
    parameters: dict[str, str]


_LEVELS = (
    "P(x | location, scale) = sigmoid((x + h - location) / scale) - sigmoid((x - h - location) / "
    "scale) with h = 1/510; at x = 0 the second term is 0, and at x = 1 the first is 1"
)
_LOCATION = {"location": "the mean", "scale": "the standard deviation"}
_LEVEL_PROBABILITIES = {
    "probabilities": "of the levels 0 ... C - 1 along the last axis; 0 beyond a column's last level"
}
_COUNTS = {"log_rate": "the logarithm of the mean"}

FORMULAS: dict[str, Formula] = {
    "bernoulli": Formula(
        "x is 0 or 1; log P(x | z) = sum over values of x * logits - log(1 + exp(logits))",
        {"logits": "the log odds of a 1"},
    ),
    "continuous-bernoulli": Formula(
        "x is in [0, 1]; log p(x | z) = sum over values of x * l - log((exp(l) - 1) / l) with l = "
        "logits, and log((exp(l) - 1) / l) = 0 at l = 0",
        {"logits": "the natural parameter l"},
    ),
    "gaussian": Formula(
        "log p(x | z) = sum over values of -0.5 * ((x - location) / scale)**2 - log(scale) - 0.5 * "
        "log(2 pi)",
        _LOCATION,
    ),
    "discretized-logistic": Formula(
        f"x is a level k/255; {_LEVELS}; log P(x | z) is the sum of log P over values",
        {"location": "of the logistic", "scale": "of the logistic"},
    ),
    "discretized-logistic-mixture": Formula(
        f"x is a level k/255; {_LEVELS}. log P of a pixel = log sum over components k of "
        "exp(log_weights[k] + sum over its channels c of log P(x[c] | locations[k, c], scales[k, "
        "c])); log P(x | z) is the sum over pixels",
        {
            "log_weights": "of the K components of each pixel, whose axis follows batch",
            "locations": "of component k and channel c, whose axes follow batch",
            "scales": "of component k and channel c, whose axes follow batch",
        },
    ),
}
"""By the names of likelihoods that all values of an event share."""

COLUMN_FORMULAS: dict[str, Formula] = {
    "gaussian": Formula(
        "log p(x | z) = -0.5 * ((x - location) / scale)**2 - log(scale) - 0.5 * log(2 pi)",
        _LOCATION,
    ),
    "student-t": Formula(
        f"(x - location) / scale has Student's t with {DEGREES_OF_FREEDOM:g} degrees of freedom",
        {"location": "the mean", "scale": "the scale"},
    ),
    "log-normal": Formula(
        "log x has a Gaussian of mean location and standard deviation scale; log p(x | z) is that "
        "of log x, minus log x",
        {"location": "the mean of log x", "scale": "the standard deviation of log x"},
    ),
    "poisson": Formula(
        "log P(x | z) = x * log_rate - exp(log_rate) - log(x!)",
        _COUNTS,
    ),
    "negative-binomial": Formula(
        "with m = exp(log_rate) and r = size: P(x | z) = Gamma(x + r) / (Gamma(r) x!) * "
        "(r / (r + m))**r * (m / (r + m))**x",
        _COUNTS | {"size": "r; the variance is m + m**2 / r"},
    ),
    "bernoulli": Formula(
        "P(x = 1 | z) = sigmoid(logits)",
        {"logits": "the log odds of a 1"},
    ),
    "categorical": Formula("P(x = c | z) = probabilities[c]", _LEVEL_PROBABILITIES),
    "ordinal": Formula("P(x = c | z) = probabilities[c]", _LEVEL_PROBABILITIES),
}
"""By the names of the families of columns; of one value of a column."""


def likelihood_name(density: type[Likelihood]) -> str | None:
    """Return the name of a class of densities in a config; None if it has none."""
    names = {kind: name for name, kind in LIKELIHOOD_CLASSES.items()}
    names[VectorMixture] = "discretized-logistic-mixture"
    return names.get(density)
