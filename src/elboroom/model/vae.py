"""The VAE: prior × decoder × likelihood, and the encoder that infers z."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from elboroom.config import ModelConfig
from elboroom.errors import UsageError
from elboroom.model.flows import CONTEXT, Coupling
from elboroom.model.likelihoods import LIKELIHOOD_CLASSES, Bernoulli, Likelihood, likelihood_of
from elboroom.model.networks.coders import Decoder, Encoder, network
from elboroom.model.posteriors import AmortisedFlow, CholeskyGaussian, Density, DiagonalGaussian
from elboroom.model.priors import FlowPrior, MixturePrior, Prior, StandardNormal, VampPrior

# The numbers of each parameter of q, for D latents.
_SIZES: dict[str, Callable[[int], tuple[int, ...]]] = {
    "diagonal": lambda latents: (latents, latents),
    "full": lambda latents: (latents, latents, latents * (latents - 1) // 2),
    "flow": lambda latents: (latents, latents, CONTEXT),
}

_OF_SPLINES, _OF_COUPLINGS = 30, 12  # weights of a flow for each pair of latents, at least


class VAE(nn.Module):
    """A deep latent-variable model p(x, z) = p(z) p(x | z) with an amortised q(z | x).

    Kingma & Welling, *Auto-Encoding Variational Bayes* (2013). `mask` is True where a pixel is
    seen, shaped like `x` or broadcast to it; None means that all are. Pixels are independent
    given z, so the unseen ones integrate out exactly.

    Args:
        encoder: x (B, *event) → the parameters of q: where it is a diagonal Gaussian, its mean and
            log standard deviation, each (B, D).
        decoder: z (..., D) → the likelihood's parameter (..., *event).
        latents: D.
        likelihood: parameter → density of x.
        prior: p(z), called with a number of rows; N(0, I) unless given.
        family: the encoder's parameters → q; a diagonal Gaussian unless given.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latents: int,
        likelihood: Callable[[Tensor], Likelihood] = Bernoulli,
        prior: Prior | None = None,
        family: Callable[..., Density] = DiagonalGaussian,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.latents = latents
        self.likelihood, self.family = likelihood, family
        like = next(self.parameters(), torch.empty(0))
        self.prior = prior or StandardNormal(latents).to(like)

    @classmethod
    def from_config(
        cls,
        config: ModelConfig,
        event_shape: tuple[int, ...],
        *,
        generator: torch.Generator,
        mean: Tensor | None = None,
        images: Tensor | None = None,
    ) -> "VAE":
        """The networks of `config`, with initial weights.

        Args:
            config: the options.
            event_shape: of x.
            generator: draws the weights.
            mean: of the training images, (*event), needed where `config.data_bias`. A pixel that
                is missing in all of them, NaN, starts at ½.
            images: some training images, (`config.components`, *event), that the pseudo-inputs of
                a VampPrior start as, needed where `config.prior` is "vamp".

        Raises:
            UsageError: `config` needs a mean or images, and there are none of that shape.
        """
        pixels, latents = math.prod(event_shape), config.latents
        sizes = _SIZES[config.posterior](latents)
        encoder = network([pixels, *config.hidden, sum(sizes)], config, generator)
        decoder = network([latents, *config.hidden[::-1], pixels], config, generator)
        likelihood = likelihood_of(config)
        if config.data_bias:
            mean = _required(mean, event_shape, "decoder's output").nan_to_num(0.5)
            bias = cast(nn.Linear, decoder[-1]).bias
            bias.data.copy_(LIKELIHOOD_CLASSES[config.likelihood].parameter_of(mean).flatten())
        inference = Encoder(encoder, sizes)
        prior = _prior(config, event_shape, inference, images, generator)
        family = _family(config, generator)
        return cls(inference, Decoder(decoder, event_shape), latents, likelihood, prior, family)

    def fixed(self, decoder: nn.Module | None = None) -> "VAE":
        """The model with its prior fixed, for parameters that stay; with `decoder`, if given."""
        decoder, prior = decoder or self.decoder, self.prior.fixed()
        return VAE(self.encoder, decoder, self.latents, self.likelihood, prior, self.family)

    def posterior(self, x: Tensor, mask: Tensor | None = None) -> Density:
        """The encoder's q(z | x). It never met unseen pixels: they enter as 0, a rough guess."""
        return self.family(*self.encoder(x if mask is None else x.masked_fill(~mask, 0.0)))

    def decode(self, z: Tensor) -> Likelihood:
        """p(x | z), for z (..., D)."""
        return self.likelihood(self.decoder(z))

    def log_likelihood(self, x: Tensor, z: Tensor, mask: Tensor | None = None) -> Tensor:
        """log p(x_seen | z) in nats: x (B, *event), z (..., B, D) → (..., B)."""
        return self.decode(z).log_prob(x, mask)

    def log_joint(self, x: Tensor, z: Tensor, mask: Tensor | None = None) -> Tensor:
        """log p(x_seen, z) in nats: x (B, *event), z (..., B, D) → (..., B)."""
        # log p(x, z) = log p(z) + log p(x | z)
        return self.prior(len(x)).log_prob(z) + self.log_likelihood(x, z, mask)

    def log_weights(
        self, x: Tensor, k: int, mask: Tensor | None = None, *, generator: torch.Generator
    ) -> Tensor:
        """log w = log p(x_seen, z_k) − log q(z_k | x) in nats, (k, B), z_k from the encoder's q."""
        q = self.posterior(x, mask)
        z, log_q = q.draw(k, generator)
        return self.log_joint(x, z, mask) - log_q

    def generate(self, count: int, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Z from the prior: the means of p(x | z), and one draw of x each, both (count, *event)."""
        likelihood = self.decode(self.prior(count).sample(1, generator)[0])
        return likelihood.mean, likelihood.sample(generator)


def least_weights(config: ModelConfig, event_shape: tuple[int, ...]) -> int:
    """So many weights a model of `config` has at least, found without making any of them.

    Those of gated and residual networks, and of flows in few dimensions, are counted in part.
    """
    pixels, latents = math.prod(event_shape), config.latents
    encoder = [pixels, *config.hidden, sum(_SIZES[config.posterior](latents))]
    decoder = [latents, *config.hidden[::-1], pixels]
    layers = sum(a * b for a, b in (*pairwise(encoder), *pairwise(decoder)))
    prior = {
        "mixture": 2 * config.components * latents,
        "vamp": config.components * pixels,
        "flow": _OF_SPLINES * latents * (latents - 1),
    }
    posterior = _OF_COUPLINGS * latents**2 if config.posterior == "flow" else 0
    return layers + prior.get(config.prior, 0) + posterior


class _FlowFamily(nn.Module):
    """The encoder's parameters → a flow, whose weights are the model's to train."""

    def __init__(self, latents: int, generator: torch.Generator) -> None:
        super().__init__()
        self.coupling = Coupling(latents, generator)

    def forward(self, shift: Tensor, log_std: Tensor, context: Tensor) -> AmortisedFlow:
        return AmortisedFlow(self.coupling, shift, log_std, context)


def _family(config: ModelConfig, generator: torch.Generator) -> Callable[..., Density]:
    if config.posterior == "flow":
        return _FlowFamily(config.latents, generator)
    return CholeskyGaussian if config.posterior == "full" else DiagonalGaussian


def _prior(
    config: ModelConfig,
    event_shape: tuple[int, ...],
    encoder: Encoder,
    images: Tensor | None,
    generator: torch.Generator,
) -> Prior:
    if config.prior == "mixture":
        return MixturePrior.random(config.components, config.latents, generator)
    if config.prior == "vamp":
        expected = (config.components, *event_shape)
        images = _required(images, expected, "pseudo-inputs").nan_to_num(0.5)
        return VampPrior(encoder, images, bounded=LIKELIHOOD_CLASSES[config.likelihood].bounded)
    if config.prior == "flow":
        return FlowPrior(config.latents, generator)
    return StandardNormal(config.latents)


def _required(images: Tensor | None, shape: tuple[int, ...], what: str) -> Tensor:
    if images is None or images.shape != shape:
        found = None if images is None else tuple(images.shape)
        raise UsageError(
            f"the {what} cannot start at training images",
            why=f"they take a tensor of shape {tuple(shape)}, found {found}",
            fix="give VAE.from_config the mean and the images that the config needs",
        )
    return images
