"""Options of the model."""

import math
from dataclasses import dataclass
from typing import Literal

from elboroom.config.checks import require, require_choices

Network = Literal["mlp", "gated", "residual"]
Activation = Literal["tanh", "relu", "silu", "softplus", "identity"]
Normalisation = Literal["none", "layer", "batch"]
LikelihoodName = Literal["bernoulli", "continuous-bernoulli", "gaussian", "discretized-logistic"]
PosteriorName = Literal["diagonal", "full", "flow"]
PriorName = Literal["standard", "mixture", "vamp", "flow"]


@dataclass(frozen=True)
class ModelConfig:
    """The networks: an encoder, and a decoder with the same layers in reverse."""

    latents: int = 2
    """Dimension D of the latent space."""
    hidden: tuple[int, ...] = (500,)
    """Widths of the encoder's hidden layers, from image to latent."""
    activation: Activation = "tanh"
    """Nonlinearity between layers."""
    network: Network = "mlp"
    """mlp: h = act(W x + b). gated: h = act(W x + b) σ(V x + c), with --activation identity the
    gated linear unit. residual: a linear layer, then for each of the widths, which are the same, a
    block x + W₂ act(W₁ act(x) + b₁) + b₂."""
    normalisation: Normalisation = "none"
    """What stands before each activation. layer: over the units of an image. batch: of each unit
    over the images of a step; after training, by running means and variances."""
    data_bias: bool = False
    """Start the decoder's output at the mean training image rather than near ½."""

    posterior: PosteriorName = "diagonal"
    """The encoder's q(z | x). diagonal: a Gaussian of independent latents. full: one with any
    covariance. flow: affine couplings of its latents, from a Gaussian."""
    likelihood: LikelihoodName = "bernoulli"
    """bernoulli: binary pixels. Of data that is not binary, read with --binarisation none:
    continuous-bernoulli: values in [0, 1]. gaussian: real values. discretized-logistic: the 256
    grey levels."""
    noise: float | None = None
    """Scale of the noise of all pixels, where the likelihood is gaussian, whose standard deviation
    it is, or discretized-logistic; None learns it."""
    prior: PriorName = "standard"
    """standard: N(0, I). mixture: of Gaussians, learned. vamp: the mixture of the encoder's answers
    to learned images (Tomczak & Welling, 2018). flow: a neural spline flow."""
    components: int = 100
    """Components of the prior, where it is mixture or vamp."""

    def __post_init__(self) -> None:
        require(self.latents >= 1, "latents", self.latents, "1 or more")
        require(
            all(width >= 1 for width in self.hidden), "hidden", self.hidden, "widths of 1 or more"
        )
        require(self.components >= 1, "components", self.components, "1 or more")
        require_choices(self, activation=Activation, network=Network, normalisation=Normalisation)
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
