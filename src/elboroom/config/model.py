"""Options of the model."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from tyro.conf import arg

from elboroom.config.checks import require, require_choices
from elboroom.config.kinds import (
    LIKELIHOODS,
    NETWORKS,
    POSTERIORS,
    PRIORS,
    LikelihoodName,
    NetworkName,
    PosteriorName,
    PriorName,
    listed,
)

Activation = Literal["tanh", "relu", "silu", "softplus", "identity"]
Normalisation = Literal["none", "layer", "batch"]


@dataclass(frozen=True)
class ModelConfig:
    """The networks: an encoder, and a decoder with the same layers in reverse."""

    latents: int = 2
    """Dimension D of the latent space."""
    hidden: tuple[int, ...] = (500,)
    """Widths of the encoder's hidden layers, from image to latent."""
    activation: Activation = "tanh"
    """Nonlinearity between layers."""
    network: Annotated[NetworkName, arg(help=listed("Hidden layers.", NETWORKS))] = "mlp"
    normalisation: Normalisation = "none"
    """What stands before each activation. layer: over the units of an image. batch: of each unit
    over the images of a step; after training, by running means and variances."""
    data_bias: bool = False
    """Start the decoder's output at the mean training image rather than near ½."""

    posterior: Annotated[
        PosteriorName, arg(help=listed("Family of the encoder's q(z | x).", POSTERIORS))
    ] = "diagonal"
    likelihood: Annotated[
        LikelihoodName,
        arg(help=listed("p(x | z); all but bernoulli take --binarisation none.", LIKELIHOODS)),
    ] = "bernoulli"
    noise: float | None = None
    """Scale of the noise of all pixels, where the likelihood is gaussian, whose standard deviation
    it is, or discretized-logistic; None learns it."""
    prior: Annotated[PriorName, arg(help=listed("p(z).", PRIORS))] = "standard"
    components: int = 100
    """Components of the prior, where it is mixture or vamp."""

    def __post_init__(self) -> None:
        require(self.latents >= 1, "latents", self.latents, "1 or more")
        require(
            all(width >= 1 for width in self.hidden), "hidden", self.hidden, "widths of 1 or more"
        )
        require(self.components >= 1, "components", self.components, "1 or more")
        require_choices(
            self, activation=Activation, network=NetworkName, normalisation=Normalisation
        )
        require_choices(self, posterior=PosteriorName, likelihood=LikelihoodName, prior=PriorName)
        noisy = self.noise is None or (self.has_noise and 0 < self.noise < math.inf)
        require(noisy, "noise", self.noise, "positive, of gaussian or discretized-logistic")
        require(
            self.network != "residual" or len(set(self.hidden)) == 1,
            "hidden",
            self.hidden,
            "one width, given once for each block, where --network is residual",
        )
        require(
            self.prior != "vamp" or self.normalisation != "batch",
            "normalisation",
            self.normalisation,
            "none or layer where --prior is vamp: its images are a batch of another kind",
        )
        diagonal = self.prior != "vamp" or self.posterior == "diagonal"
        require(diagonal, "posterior", self.posterior, "diagonal where --prior is vamp")

    @property
    def has_noise(self) -> bool:
        """Whether the likelihood has a scale beside the decoder's output."""
        return self.likelihood in ("gaussian", "discretized-logistic")
