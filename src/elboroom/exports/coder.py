"""A network that is exported: its module, its inputs, and rows to try it with."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import torch
from torch import Tensor, nn

from elboroom.errors import UsageError, named
from elboroom.exports.coder_modules import DecoderModule, EncoderModule, takes_mask
from elboroom.model.laplace_posterior import NoEncoder
from elboroom.model.posteriors import CholeskyGaussian, DiagonalGaussian, LadderFamily
from elboroom.model.posteriors.flow import FlowFamily
from elboroom.model.vae import VAE
from elboroom.randomness import normals, stream

Inputs = dict[str, Tensor]
_PRIMES = 5, 7, 11, 13, 17, 19, 23, 29, 31, 37


@dataclass(frozen=True)
class Coder:
    """An encoder or a decoder that is exported.

    Attributes:
        name: "encoder" or "decoder".
        module: computes the outputs from inputs that are given by name.
        model: the model, in float32 and without gradients.
        axes: of each input, the names of its leading axes, whose sizes are free.
        draw: makes inputs of some number of samples and rows.
    """

    name: str
    module: nn.Module
    model: VAE
    axes: dict[str, tuple[str, ...]]
    draw: Callable[[int, int], Inputs]

    @cached_property
    def example(self) -> Inputs:
        """Inputs whose leading axes have sizes that no other axis has."""
        one = self.draw(1, 1)
        others = {
            size for each in (one, self.module(**one)) for v in each.values() for size in v.shape
        }
        return self.draw(*islice((size for size in _PRIMES if size not in others), 2))

    @cached_property
    def outputs(self) -> dict[str, Tensor]:
        """The outputs for the example."""
        return self.module(**self.example)


def portable(model: VAE) -> VAE:
    """Return a copy of a model on the processor, in float32, that is evaluated and not trained."""
    copy = deepcopy(model)
    copy.partial_encoder = None
    return copy.cpu().float().eval().requires_grad_(False)


def coders(model: VAE) -> Iterator[Coder]:
    """Yield the encoder and the decoder of a portable model; a model may have no encoder.

    Raises:
        UsageError: the posterior has a family that is not known here.
    """
    if not isinstance(model.encoder, NoEncoder):
        yield _encoder(model)
    yield _decoder(model)


def _encoder(model: VAE) -> Coder:
    inputs: dict[str, tuple[str, ...]] = {"x": ("batch",)}
    if takes_mask(model):
        inputs["mask"] = ("batch",)
    if _needs_noise(model):
        inputs["eps"] = ("samples", "batch")

    def draw(samples: int, rows: int) -> Inputs:
        generator = stream(0, f"encoder {samples} {rows}")
        z = model.prior(rows).sample(1, generator)[0]
        given = {"x": model.decode(z).sample(generator)}
        if "mask" in inputs:
            seen = torch.rand(given["x"].shape, generator=generator) < 0.7
            given = {"x": given["x"].masked_fill(~seen, torch.nan), "mask": seen}
        if "eps" in inputs:
            given["eps"] = normals((samples, rows, model.latents), z, generator)
        return given

    return Coder("encoder", EncoderModule(model).eval(), model, inputs, draw)


def _decoder(model: VAE) -> Coder:
    def draw(samples: int, rows: int) -> Inputs:
        generator = stream(0, f"decoder {samples} {rows}")
        return {"z": model.prior(rows).sample(samples, generator)}

    axes = {"z": ("samples", "batch")}
    return Coder("decoder", DecoderModule(model).eval(), model, axes, draw)


def _needs_noise(model: VAE) -> bool:
    """Return whether q is no family of a few parameters, so that draws of it are computed.

    Raises:
        UsageError: if the family is the user's own.
    """
    if model.family in (DiagonalGaussian, CholeskyGaussian):
        return False
    if isinstance(model.family, LadderFamily | FlowFamily):
        return True
    raise UsageError(
        "this encoder cannot be exported",
        why=f"found {named(model.family)} as the family of q(z | x); expected a diagonal or a full "
        "Gaussian, a flow or a ladder, whose outputs have names",
        fix="export a model with one of these; infer.encoder computes with every family",
    )
