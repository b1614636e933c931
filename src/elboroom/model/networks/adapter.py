"""An adapter that puts any module under the contract of a decoder."""

from torch import Tensor, nn

from elboroom.model.networks.jacobian import push
from elboroom.model.networks.network import DecoderNetwork


class DecoderAdapter(DecoderNetwork):
    """The members of `DecoderNetwork` for any module, which is not changed.

    Args:
        module: z (..., D) → the parameter of the likelihood, (..., *parameter).
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._module = (module,)  # the tuple hides its weights, which belong to the model

    def forward(self, z: Tensor) -> Tensor:
        """Compute the parameter of the likelihood."""
        return self._module[0](z)

    @property
    def widest_activation(self) -> int:
        """The largest output of any linear layer; `VAE.widest_activation` counts all layers."""
        layers = self._module[0].modules()
        return max((a.out_features for a in layers if isinstance(a, nn.Linear)), default=0)

    def pushed(self, z: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the parameter at z (B, D), and its derivatives along directions (R, B, D)."""
        return push(self._module[0], z, tangents)


def decoder_network(decoder: nn.Module) -> DecoderNetwork:
    """Return a decoder under the contract: itself, or a module that was given, adapted."""
    return decoder if isinstance(decoder, DecoderNetwork) else DecoderAdapter(decoder)
