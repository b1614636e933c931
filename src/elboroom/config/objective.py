"""Options of what training maximises."""

from dataclasses import dataclass
from typing import Literal

from elboroom.config.checks import require, require_choices

Objective = Literal["elbo", "elbo-sampled", "iwae", "renyi"]
Gradient = Literal["plain", "stl", "dreg"]


@dataclass(frozen=True)
class ObjectiveConfig:
    """The bound on log p(x) that is maximised, and the estimator of its gradient."""

    objective: Objective = "elbo"
    """elbo: with the closed-form KL, where the prior has one. elbo-sampled: the mean of log w, its
    KL sampled too. iwae: the importance-weighted bound. renyi: that of Rényi, of order --alpha."""
    k: int = 1
    """Samples of z an image, in each bound."""
    m: int = 1
    """Bounds an image, whose mean is maximised; with iwae this is MIWAE of M and K."""
    alpha: float | None = None
    """Order α of the Rényi bound: 0 is iwae, towards 1 it becomes the ELBO."""
    gradient: Gradient = "plain"
    """plain: reparameterised. stl: sticking the landing, of elbo-sampled, whose noise vanishes as q
    becomes the posterior. dreg: doubly reparameterised, of iwae and renyi."""
    beta: float = 1.0
    """Weight β of the KL, of log p(z) - log q(z) in bounds of log w; warm-up rises to it."""
    free_bits: float = 0.0
    """Nats of KL that each latent has for free, in the mean over a batch; of elbo alone."""

    def __post_init__(self) -> None:
        require_choices(self, objective=Objective, gradient=Gradient)
        for name in ("k", "m"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        require(self.beta >= 0, "beta", self.beta, "0 or more")
        require(self.free_bits >= 0, "free_bits", self.free_bits, "0 or more")
        self._require_consistent()

    def _require_consistent(self) -> None:
        """What one bound has and another has not: an option must not do nothing."""
        weighted = self.objective in ("iwae", "renyi")
        require(weighted or self.m == 1, "m", self.m, "1 with an ELBO, a mean already: raise --k")
        closed = self.objective == "elbo"
        require(closed or not self.free_bits, "free_bits", self.free_bits, "0 but with elbo")
        of_renyi = (self.alpha is not None) == (self.objective == "renyi")
        require(of_renyi, "alpha", self.alpha, "given with renyi, and with it alone")
        fits = {"plain": True, "stl": self.objective == "elbo-sampled", "dreg": weighted}
        why = "plain, or stl with elbo-sampled, or dreg with iwae and renyi"
        require(fits[self.gradient], "gradient", self.gradient, why)

    @property
    def order(self) -> float:
        """The α of a bound of log w as one of Rényi's: 0 for iwae, 1 for the ELBO."""
        if self.alpha is not None:
            return self.alpha
        return 0.0 if self.objective == "iwae" else 1.0
