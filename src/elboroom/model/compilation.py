"""The choice whether compiling what a model computes is repaid."""

import torch

from elboroom.device.compiler import why_no_compiler
from elboroom.model.decoding import values_in_passes
from elboroom.model.vae import VAE

# Seconds that compiling saves for each value of the decoder's output, each value between its
# layers, and each call; and that it takes, at most so many, and so many for each parameter tensor.
# They were measured on two cores with AVX-512.
_OF_OUTPUT, _OF_LAYERS, _OF_CALL = 5e-10, 1.5e-10, 3e-4
_COMPILING, _OF_TENSOR = 3.0, 0.1


def repays_compiling(
    model: VAE, device: torch.device, draws: float, at_once: int, *, passes: int = 1
) -> bool:
    """Return whether compiling log p(x | z) saves more time than it takes.

    This is an estimate and not a measurement, so that the same computation rounds the same again.

    Args:
        model: the model.
        device: where it computes; only on a processor is anything compiled.
        draws: how many z are decoded altogether.
        at_once: how many of them are decoded together.
        passes: 1 for values alone, 2 with their gradient by z.
    """
    if device.type != "cpu" or not model.is_traceable or why_no_compiler(device):
        return False
    outputs = values_in_passes(model, of_layers=False)
    of_layers = values_in_passes(model, of_layers=True) - outputs
    saved = draws * passes * (outputs * _OF_OUTPUT + of_layers * _OF_LAYERS)
    saved += draws / at_once * _OF_CALL
    return saved > _COMPILING + _OF_TENSOR * len(list(model.parameters()))
