"""Options of the model."""

import math
import re
from dataclasses import dataclass
from typing import Annotated

from tyro.conf import arg

from elboroom.config.checks import require, require_choices
from elboroom.config.kinds import (
    ACTIVATIONS,
    FACTORY,
    FACTORY_HELP,
    LIKELIHOODS,
    NETWORKS,
    NORMALISATIONS,
    POSTERIORS,
    PRIORS,
    Activation,
    LikelihoodName,
    Normalisation,
    PosteriorName,
    PriorName,
    listed,
)


@dataclass(frozen=True)
class ModelConfig:
    """The networks, an encoder and a decoder with its layers in reverse, and the densities."""

    latents: int = 2
    """Dimension D of the latent space."""
    hidden: tuple[int, ...] = (500,)
    """Widths of the encoder's hidden layers, from image to latent."""
    activation: Annotated[
        Activation, arg(help=listed("Nonlinearity between layers.", ACTIVATIONS))
    ] = "tanh"
    network: Annotated[
        str,
        arg(
            help=listed("Hidden layers, or code of your own.", NETWORKS | {FACTORY: FACTORY_HELP}),
            metavar=f"{{{','.join(NETWORKS)},{FACTORY}}}",
        ),
    ] = "mlp"
    normalisation: Annotated[
        Normalisation, arg(help=listed("Normalisation before each activation.", NORMALISATIONS))
    ] = "none"
    data_bias: bool = False
    """Initialise the decoder's output at the mean training image instead of near ½."""

    posterior: Annotated[
        PosteriorName, arg(help=listed("Family of the encoder's q(z | x).", POSTERIORS))
    ] = "diagonal"
    likelihood: Annotated[
        LikelihoodName,
        arg(help=listed("p(x | z); all but bernoulli need --binarisation none.", LIKELIHOODS)),
    ] = "bernoulli"
    noise: float | None = None
    """Scale of the noise of all pixels, for gaussian (the standard deviation) and
    discretized-logistic; None learns it."""
    prior: Annotated[PriorName, arg(help=listed("The prior p(z).", PRIORS))] = "standard"
    components: int = 100
    """Components of a mixture or vamp prior."""

    def __post_init__(self) -> None:
        require(self.latents >= 1, "latents", self.latents, "1 or more")
        require(
            all(width >= 1 for width in self.hidden), "hidden", self.hidden, "widths of 1 or more"
        )
        require(self.components >= 1, "components", self.components, "1 or more")
        require_choices(self, activation=Activation, normalisation=Normalisation)
        require(
            self.network in NETWORKS or self.has_own_network,
            "network",
            self.network,
            f"one of {', '.join(NETWORKS)}, or {FACTORY}",
        )
        require_choices(self, posterior=PosteriorName, likelihood=LikelihoodName, prior=PriorName)
        noisy = self.noise is None or (self.has_noise and 0 < self.noise < math.inf)
        require(noisy, "noise", self.noise, "positive, with gaussian or discretized-logistic")
        require(
            self.network != "residual" or len(set(self.hidden)) == 1,
            "hidden",
            self.hidden,
            "the same width for every block with --network residual",
        )
        require(
            self.prior != "vamp" or self.normalisation != "batch",
            "normalisation",
            self.normalisation,
            "none or layer with --prior vamp, whose pseudo-inputs are not a batch of images",
        )
        diagonal = self.prior != "vamp" or self.posterior == "diagonal"
        require(diagonal, "posterior", self.posterior, "diagonal with --prior vamp")

    @property
    def has_own_network(self) -> bool:
        """True if `network` names a factory, whose code makes the networks."""
        return re.fullmatch(r"[^\s:]+:[^\s:]+", self.network) is not None

    @property
    def has_noise(self) -> bool:
        """True if the likelihood has a scale in addition to the decoder's output."""
        return self.likelihood in ("gaussian", "discretized-logistic")
