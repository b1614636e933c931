"""Options of the model."""

from dataclasses import dataclass
from typing import Literal

from elboroom.config.checks import require, require_choices

Network = Literal["mlp", "gated", "residual"]
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
    network: Network = "mlp"
    """mlp: h = act(W x + b). gated: h = act(W x + b) σ(V x + c), with --activation identity the
    gated linear unit. residual: a linear layer, then for each of the widths, which are the same, a
    block x + W₂ act(W₁ act(x) + b₁) + b₂."""
    normalisation: Normalisation = "none"
    """What stands before each activation. layer: over the units of an image. batch: of each unit
    over the images of a step; after training, by running means and variances."""
    data_bias: bool = False
    """Start the decoder's output at the mean training image rather than near ½."""

    def __post_init__(self) -> None:
        require(self.latents >= 1, "latents", self.latents, "1 or more")
        require(
            all(width >= 1 for width in self.hidden), "hidden", self.hidden, "widths of 1 or more"
        )
        require_choices(self, activation=Activation, network=Network, normalisation=Normalisation)
        require(
            self.network != "residual" or len(set(self.hidden)) == 1,
            "hidden",
            self.hidden,
            "one width, given once for each block, where --network is residual",
        )
