"""Options of the model."""

from dataclasses import dataclass
from typing import Literal

from elboroom.config.checks import require, require_choices

Activation = Literal["tanh", "relu", "silu", "softplus"]


@dataclass(frozen=True)
class ModelConfig:
    """The networks: an MLP encoder, and an MLP decoder with the same layers in reverse."""

    latents: int = 2
    """Dimension D of the latent space."""
    hidden: tuple[int, ...] = (500,)
    """Widths of the encoder's hidden layers, from image to latent."""
    activation: Activation = "tanh"
    """Nonlinearity between layers."""

    def __post_init__(self) -> None:
        require(self.latents >= 1, "latents", self.latents, "1 or more")
        require(
            all(width >= 1 for width in self.hidden), "hidden", self.hidden, "widths of 1 or more"
        )
        require_choices(self, activation=Activation)
