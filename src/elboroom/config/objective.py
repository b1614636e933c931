"""Options of the objective: what training maximises."""

import math
from dataclasses import dataclass
from typing import Annotated

from tyro.conf import arg

from elboroom.config.checks import require, require_choices
from elboroom.config.kinds import GRADIENTS, OBJECTIVES, Gradient, Objective, listed
from elboroom.config.options_table import Options
from elboroom.config.typed_tables import require_types


@dataclass(frozen=True)
class ObjectiveConfig(Options):
    """The bound on log p(x) that is maximised, and the estimator of its gradient.

    Example:
        >>> from elboroom import ObjectiveConfig
        >>> tight = ObjectiveConfig("iwae", k=5, gradient="dreg")
        >>> last = train(model, data, replace(brief, epochs=1), objective=tight).history[-1]
        >>> last.bound > last.elbo  # five draws of z make a tighter bound of log p(x) than one
        True
    """

    objective: Annotated[
        Objective, arg(help=listed("Bound on log p(x) that is maximised.", OBJECTIVES))
    ] = "elbo"
    k: int = 1
    """Samples of z for each bound."""
    m: int = 1
    """Bounds for each image, whose mean is maximised; with iwae this is MIWAE with M and K."""
    alpha: float | None = None
    """Order α of the Rényi bound: 0 is iwae; as α → 1 it becomes the ELBO."""
    gradient: Annotated[Gradient, arg(help=listed("Estimator of the gradient.", GRADIENTS))] = (
        "plain"
    )
    beta: float = 1.0
    """Weight β of the KL, or of log p(z) - log q(z) in bounds of log w; warm-up rises to it."""
    free_bits: float = 0.0
    """KL in nats that each latent, of a ladder each level, may have at no cost, as a mean over a
    batch; for elbo only."""
    consistency: float = 0.0
    """Weight of KL(q(z | moved x) ‖ q(z | x)), in training on each image and on a copy that --flip,
    --shift, --rotate or --zoom move; 0.001 is usual, and 0 trains on the copy alone."""

    def __post_init__(self) -> None:
        require_types(self)
        require_choices(self, objective=Objective, gradient=Gradient)
        for name in ("k", "m"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        require(self.beta >= 0, "beta", self.beta, "0 or more")
        require(self.free_bits >= 0, "free_bits", self.free_bits, "0 or more")
        finite = 0 <= self.consistency < math.inf
        require(finite, "consistency", self.consistency, "a number, 0 or more")
        self._require_consistent()

    def _require_consistent(self) -> None:
        """Reject options that the chosen bound would ignore."""
        weighted = self.objective in ("iwae", "renyi")
        why = "1 with an ELBO, which is a mean over samples already: raise --k instead"
        require(weighted or self.m == 1, "m", self.m, why)
        closed = self.objective == "elbo"
        require(closed or not self.free_bits, "free_bits", self.free_bits, "0 except with elbo")
        of_renyi = (self.alpha is not None) == (self.objective == "renyi")
        require(of_renyi, "alpha", self.alpha, "given with renyi, and only with renyi")
        fits = {"plain": True, "stl": self.objective == "elbo-sampled", "dreg": weighted}
        why = "plain, or stl with elbo-sampled, or dreg with iwae and renyi"
        require(fits[self.gradient], "gradient", self.gradient, why)

    @property
    def order(self) -> float:
        """The order α of a bound of log w as a Rényi bound: 0 for iwae, 1 for the ELBO."""
        if self.alpha is not None:
            return self.alpha
        return 0.0 if self.objective == "iwae" else 1.0
