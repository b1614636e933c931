"""The networks of a problem in PyTorch, as a plain script would write them."""

from itertools import chain

import torch
from problem import Layers
from torch import nn

_ACTIVATIONS = {"softplus": nn.Softplus, "tanh": nn.Tanh}


def network(layers: Layers, activation: str) -> nn.Sequential:
    """Linear layers with those weights, and the activation between them."""
    linears = [_linear(weight, bias) for weight, bias in layers]
    pairs = chain.from_iterable((linear, _ACTIVATIONS[activation]()) for linear in linears)
    return nn.Sequential(*list(pairs)[:-1])


def _linear(weight: object, bias: object) -> nn.Linear:
    values = torch.tensor(weight), torch.tensor(bias)
    linear = nn.Linear(values[0].shape[1], values[0].shape[0])
    linear.weight, linear.bias = map(nn.Parameter, values)
    return linear


def layers_of(network: nn.Module) -> Layers:
    """Return its current weights and biases."""
    linears = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    return [(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in linears]
