"""Networks: tensors to tensors, with no probability in them."""

from elboroom.model.networks.adapter import decoder_network
from elboroom.model.networks.coders import FullyConnected, gated_layers, mlp_layers, residual_layers
from elboroom.model.networks.convolutional import Convolutional
from elboroom.model.networks.ladder import Ladder, LadderDecoder, LadderEncoder
from elboroom.model.networks.network import DecoderNetwork, EncoderNetwork, NetworkKind

__all__ = [
    "NETWORK_KINDS",
    "DecoderNetwork",
    "EncoderNetwork",
    "LadderDecoder",
    "LadderEncoder",
    "NetworkKind",
    "decoder_network",
]

NETWORK_KINDS: dict[str, NetworkKind] = {
    "mlp": FullyConnected(mlp_layers),
    "gated": FullyConnected(gated_layers),
    "residual": FullyConnected(residual_layers),
    "conv": Convolutional(),
    "ladder": Ladder(),
}
