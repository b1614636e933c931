"""The contract of a network: an encoder, a decoder, and the kind that builds both."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from elboroom.config import ModelConfig
from elboroom.model.networks.jacobian import push, tangent_basis
from elboroom.model.networks.layers import require_eval_mode


class EncoderNetwork(nn.Module, ABC):
    """x (B, *event) → the parameters of q(z | x), each (B, …); the first two are (B, D).

    Each row is computed alone in evaluation mode. The output may have 16 bits: `VAE` widens it.
    """

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the parameters of q(z | x)."""


class DecoderNetwork(nn.Module, ABC):
    """z (..., D) → the parameter of the likelihood, (..., *parameter).

    *parameter is `Likelihood.parameter_shape(event_shape)`, for most likelihoods the event's. Any
    number of leading axes must work, and each z is computed alone in evaluation mode. The output
    may have 16 bits: `VAE` widens it.
    """

    @abstractmethod
    def forward(self, z: Tensor) -> Tensor:
        """Compute the parameter of the likelihood."""

    @property
    @abstractmethod
    def widest_activation(self) -> int:
        """The largest number of values that any layer has for one z.

        The number of z that are decoded together is limited by it.
        """

    @property
    def output_bias(self) -> nn.Parameter | None:
        """The bias added to the flat output, which `data_bias` sets; None if none."""
        return None

    def restricted_to(self, entries: Tensor) -> "DecoderNetwork | None":
        """Return a decoder of some entries of the output only; None if there is none.

        `entries` index the flat output, and their shape is that of the new one. Without such a
        decoder, inference decodes all pixels.
        """
        return None

    def values_outside_products(self, parameter_shape: tuple[int, ...]) -> int:
        """Count the values for one z that are computed outside of matrix products.

        Compiling saves passes over these values, and `--compile auto` decides by them. By default
        they are the outputs, as in fully connected networks.
        """
        return math.prod(parameter_shape)

    @property
    def values_of_layers(self) -> int:
        """The number of values for one z of all layers, those of an encoder too, before the output.

        Compiling a whole step saves passes over them. By default 0, as fully connected layers have
        few.
        """
        return 0

    def around_last_product(self) -> tuple[nn.Module, nn.Module] | None:
        """Return the layers up to the last product, z (B, D) → h, and those after it, h → (B, …).

        Only the latter are compiled then, with the likelihood, and the encoder is not. By default
        None: all is compiled.
        """
        return None

    def jacobian(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the parameter at z (B, D), and its derivative by each latent, (D, B, *parameter).

        Raises:
            UsageError: a batch normalisation is in training mode.
        """
        return self.pushed(z, tangent_basis(z))

    def pushed(self, z: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the parameter at z (B, D), and its derivatives along R directions, (R, B, D).

        The latter are (R, B, *parameter). By default PyTorch differentiates the decoder.

        Raises:
            UsageError: a batch normalisation is in training mode.
        """
        require_eval_mode(self)
        return push(self, z, tangents)


class NetworkKind(ABC):
    """A kind of network that a config names.

    Implementing a network:
        Derive an encoder from `EncoderNetwork`, a decoder from `DecoderNetwork`, and from this
        class a kind that builds both, in a new file of `elboroom.model.networks`. The optional
        members of a decoder have defaults that are right but slower. Override `latents` if the
        network adds levels of latents below those of the config. Draw all initial weights from the
        given generator. Then add the kind to `NETWORK_KINDS` and to `elboroom.config.kinds`.

        A network of the user's own needs none of this: `VAE` accepts any two modules with the same
        inputs and outputs, and a config names a function that makes them.
    """

    def latents(self, config: ModelConfig, event_shape: tuple[int, ...]) -> int:
        """Return D for events of a shape; by default the number that the config names."""
        return config.latents

    @abstractmethod
    def encoder(
        self,
        config: ModelConfig,
        event_shape: tuple[int, ...],
        sizes: Sequence[int],
        generator: torch.Generator,
    ) -> EncoderNetwork:
        """Build an encoder whose output has the given sizes, one for each parameter of q."""

    @abstractmethod
    def decoder(
        self, config: ModelConfig, parameter_shape: tuple[int, ...], generator: torch.Generator
    ) -> DecoderNetwork:
        """Build a decoder whose output has the shape of the likelihood's parameter."""

    @abstractmethod
    def least_weights(
        self,
        config: ModelConfig,
        event_shape: tuple[int, ...],
        parameter_shape: tuple[int, ...],
        outputs: int,
    ) -> int:
        """Count the weights of both networks, at least, without building them.

        `outputs` is the number of values that the encoder computes for a row, 0 if there is none.
        """
