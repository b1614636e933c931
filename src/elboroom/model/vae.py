"""The VAE: prior × decoder × likelihood, and the encoder that infers z."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from elboroom.config import ModelConfig
from elboroom.data.statistics import Statistics
from elboroom.device import autocast, require_room
from elboroom.errors import UsageError, require_instance, require_positive
from elboroom.html_table import Shown, Summary
from elboroom.model.arguments import checked, require_latents, require_latents_of, require_rows
from elboroom.model.encoding import encode, family_of
from elboroom.model.factory import NetworkFactory, made_by, name_of, named_factory
from elboroom.model.from_config_arguments import require_arguments, require_statistics_of
from elboroom.model.initial_images import require_images
from elboroom.model.laplace_posterior import NoEncoder, laplace_posterior
from elboroom.model.likelihoods import (
    Bernoulli,
    Likelihood,
    ObservationModel,
    TableModel,
    likelihood_class,
    observation_model,
)
from elboroom.model.model_summary import model_summary
from elboroom.model.networks import (
    NETWORK_KINDS,
    DecoderNetwork,
    EncoderNetwork,
    LadderDecoder,
    decoder_network,
)
from elboroom.model.networks.layers import as_input_of, at_least_float32, widen
from elboroom.model.own_parts import check_parts, example_of, require_parts
from elboroom.model.partial_encoder import PartialEncoder
from elboroom.model.posteriors import (
    POSTERIOR_FAMILIES,
    Density,
    DiagonalGaussian,
    LadderPosterior,
)
from elboroom.model.priors import (
    PRIOR_CLASSES,
    Prior,
    PriorInputs,
    StandardNormal,
    TopPrior,
    prior_of,
)
from elboroom.model.priors.distribution import DistributionPrior

_KNOWN = "elboroom.", "torch.nn.modules.", "zuko."  # beginnings of modules whose code is known


class VAE(nn.Module, Shown):
    """A deep latent-variable model p(x, z) = p(z) p(x | z) with an amortised q(z | x).

    Kingma & Welling, *Auto-Encoding Variational Bayes* (2013). `mask` is True where a pixel is
    seen, shaped like `x` or broadcast to it; None means that all pixels are seen. Pixels are
    independent given z, so unseen pixels integrate out exactly.

    The parts are checked once, with a few made-up rows: see `elboroom.model.own_parts`. Networks
    may compute in bfloat16 or float64: what they take is converted to their type, and what they
    return is widened to float32. Units, noise and prior stay in float32 under `half()`.

    Args:
        encoder: x (B, *event) → the parameters of q. For a diagonal Gaussian these are its mean
            and log standard deviation, each (B, D). It sees x standardised, or as
            `ObservationModel.encoder_input` has it.
        decoder: z (..., D) → the likelihood's parameter, (..., *parameter). Its shape is that of x
            for most likelihoods: see `Likelihood.parameter_shape`.
        latents: D.
        likelihood: the decoder's output → density of x: an `ObservationModel`, which knows the
            data's units, or a class or function, which is wrapped in one.
        prior: p(z), called with a number of rows, or a distribution of PyTorch's over z; N(0, I)
            by default.
        family: the encoder's parameters → q; a diagonal Gaussian by default.

    Attributes:
        event_shape: shape of x.
        widest_activation: the largest number of values that a layer of the user's own decoder has
            for one z; 0 for a decoder that states it.
        partial_encoder: approximates p(z | x_seen) under every mask, for the methods of inference;
            None if there is none. It is no part of the model's weights.

    Raises:
        UsageError: a part returns another shape or type than above, or mixes rows.

    Example:
        >>> q = model.posterior(x)  # q(z | x) of three images
        >>> q.mean.shape, model.decode(q.mean).mean.shape
        (torch.Size([3, 2]), torch.Size([3, 1, 28, 28]))
        >>> log_w = model.log_weights(x, 20, generator=generator)  # log p(x, z) − log q(z | x)
        >>> log_w.shape  # the mean over 20 draws of z estimates the ELBO of each image
        torch.Size([20, 3])
        >>> means, draws = model.generate(5, generator=generator)  # of new images
        >>> means.shape, draws.unique()
        (torch.Size([5, 1, 28, 28]), tensor([0., 1.]))
    """

    event_shape: tuple[int, ...]
    widest_activation: int = 0
    partial_encoder: PartialEncoder | None = None
    _is_fixed = False

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latents: int,
        likelihood: ObservationModel | Callable[[Tensor], Likelihood] = Bernoulli,
        prior: Prior | Distribution | None = None,
        family: Callable[..., Density] = DiagonalGaussian,
    ) -> None:
        super().__init__()
        require_parts(encoder, decoder, latents, likelihood)
        prior = prior_of(prior, latents, example_of(encoder, decoder))
        for part in (likelihood, prior, family):
            if isinstance(part, nn.Module):
                widen(part)
        shapes = check_parts(encoder, decoder, latents, likelihood, prior, family)
        self._assemble(shapes.event, encoder, decoder, latents, likelihood, prior, family)
        if not isinstance(decoder, DecoderNetwork):
            self.widest_activation = shapes.widest_activation

    @classmethod
    def from_config(
        cls,
        config: ModelConfig,
        event_shape: tuple[int, ...],
        *,
        generator: torch.Generator,
        statistics: Statistics | None = None,
        images: Tensor | None = None,
        network: NetworkFactory | None = None,
    ) -> "VAE":
        """Build the model of `config`, with initial weights.

        Args:
            config: the options.
            event_shape: shape of x.
            generator: random generator that draws the weights.
            statistics: those of the training part, from `elboroom.data.statistics_of`; of columns
                those of `ObservationModel.measured`. The model takes its units and its initial
                noise from them. Without them `train` measures the data that it is given.
                `config.data_bias` requires them, and so does a VampPrior whose data are
                standardised.
            images: some training images, (`config.components`, *event), at which the pseudo-inputs
                of a VampPrior start; required if `config.prior` is "vamp".
            network: makes the networks in the place of those that `config.network` names. If it
                makes a whole `VAE`, that is the model, and `config` counts no more.

        Raises:
            UsageError: an argument is of another type; required statistics or images are missing,
                or have another shape; or the networks do not fit.
            DataError: the statistics have no scale.
        """
        event_shape = require_arguments(config, event_shape, generator, statistics, images)
        if network is None and config.has_own_network:
            raise _missing_factory(config)
        likelihood = observation_model(config, event_shape)
        input_shape = likelihood.input_shape(event_shape)
        if statistics is not None:
            require_statistics_of(statistics, likelihood.measured_shape(event_shape))
        if network is None:
            encoder, decoder = _built_in(config, event_shape, generator)
        else:
            made = made_by(network, event_shape, config.latents, generator)
            if isinstance(made, VAE):
                return _fitting(made, event_shape, config.latents, network)
            encoder, decoder = _pair(made, network)
        if statistics is not None:
            likelihood.measure(statistics)
        has_bias = network is None or decoder_network(decoder).output_bias is not None
        if config.data_bias and has_bias:
            start = _start(likelihood, statistics, event_shape)
            _set_output_bias(decoder_network(decoder), start)
        if images is not None:
            _require_units(likelihood)
            images = likelihood.pseudo_inputs(images)
        bounded = likelihood.density.bounded
        inputs = PriorInputs(config, input_shape, encoder, images, bounded, generator)
        prior = PRIOR_CLASSES[config.prior].from_config(inputs)
        family = family_of(encoder, config.posterior, config.latents, generator)
        latents = config.latents
        if network is None:
            latents = NETWORK_KINDS[config.network].latents(config, event_shape)
        if latents > config.latents:
            prior = _prior_of_levels(prior, latents - config.latents)
        parts = encoder, decoder, latents, likelihood, prior, family
        if network is not None:
            with named_factory(network):
                model = cls(*parts)
            return _fitting(model, event_shape, config.latents, network)
        return cls._of_checked(event_shape, *parts)

    def _assemble(
        self,
        event_shape: tuple[int, ...],
        encoder: nn.Module,
        decoder: nn.Module,
        latents: int,
        likelihood: Callable[[Tensor], Likelihood],
        prior: Prior,
        family: Callable[..., Density],
    ) -> None:
        """Take parts that fit each other."""
        nn.Module.__init__(self)
        self.encoder, self.decoder, self.latents = encoder, decoder, latents
        is_model = isinstance(likelihood, ObservationModel)
        self.likelihood = likelihood if is_model else ObservationModel(likelihood)
        self.prior, self.family = prior, family
        self.event_shape = event_shape

    @classmethod
    def _of_checked(cls, event_shape: tuple[int, ...], *parts: Any) -> "VAE":
        """Build a model of parts that are known to fit: those of a config, or of another model."""
        model = cls.__new__(cls)
        model._assemble(event_shape, *parts)
        return model

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "VAE":
        """Move the model, or convert it: only encoder and decoder to a type of 16 bits."""

        def wide(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            is_narrow = moved.is_floating_point() and moved.dtype.itemsize < 4
            return tensor.to(moved.device) if is_narrow else moved

        for part in self.children():
            part._apply(fn if part is self.encoder or part is self.decoder else wide, recurse)
        if self.partial_encoder is not None:
            self.partial_encoder.move(fn, wide, recurse)
        return self

    def _summary(self) -> Summary:
        return model_summary(self)

    @property
    def parameter_shape(self) -> tuple[int, ...]:
        """The shape of the decoder's output for one z, as the class of the densities states it."""
        return self.likelihood.density.parameter_shape(self.event_shape)

    @property
    def level_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of the latents of each level, the top first; one level without a ladder."""
        if isinstance(self.decoder, LadderDecoder):
            return self.decoder.level_shapes
        return ((self.latents,),)

    @property
    def is_ladder(self) -> bool:
        """True if the latents have several levels."""
        return isinstance(self.decoder, LadderDecoder)

    @property
    def draws_globally(self) -> bool:
        """True if the networks may draw from PyTorch's global random state, as dropout does."""
        built_in = (
            isinstance(self.encoder, EncoderNetwork),
            isinstance(self.decoder, DecoderNetwork),
        )
        return not all(built_in)

    @property
    def is_traceable(self) -> bool:
        """True if the model computes the same in each call, and the compiler merges its passes.

        Code of the user's own, whose Python may decide otherwise each time, is not traced. Of
        convolutions, which the compiler does not improve, only what follows them is compiled.
        """
        parts = [*map(type, self.modules()), self.family, self.likelihood.density]
        is_known = all(getattr(part, "__module__", "").startswith(_KNOWN) for part in parts)
        is_merged = decoder_network(self.decoder).around_last_product() is None
        return is_known and is_merged and not isinstance(self.prior, DistributionPrior)

    def fixed(
        self,
        decoder: nn.Module | None = None,
        likelihood: ObservationModel | None = None,
        event_shape: tuple[int, ...] | None = None,
    ) -> "VAE":
        """Return the model for constant parameters; a fixed model returns itself.

        Args:
            decoder: a decoder that replaces the model's own, such as one of some pixels only.
            likelihood: the observation model of the same pixels.
            event_shape: the shape of their event.
        """
        if self._is_fixed and not (decoder or likelihood or event_shape):
            return self
        decoder, likelihood = decoder or self.decoder, likelihood or self.likelihood
        parts = decoder, self.latents, likelihood, self.prior.fixed(), self.family
        model = VAE._of_checked(event_shape or self.event_shape, self.encoder, *parts)
        model.widest_activation, model._is_fixed = self.widest_activation, True
        return model

    def require_events(self, found: tuple[int, ...]) -> None:
        """Check that the rows of some data have the shape of this model's x.

        Raises:
            UsageError: they have another.
        """
        if found != self.event_shape:
            raise UsageError(
                "this model is not one of these data",
                why=f"found rows of shape {found}; the model's x has shape {self.event_shape}",
                fix="let the decoder return the shape of the data, channels included: "
                f".unflatten(-1, {found})",
            )

    def posterior(self, x: Tensor, mask: Tensor | None = None) -> Density:
        """Compute the encoder's q(z | x), from `ObservationModel.encoder_input`."""
        require_rows(x, self.event_shape, mask)
        if isinstance(self.encoder, NoEncoder):
            return laplace_posterior(self, x, mask)
        x = self.likelihood.encoder_input(x, mask)
        return encode(self.encoder, self.family, self.decoder, x)

    def amortised_posterior(self, x: Tensor, mask: Tensor | None = None) -> Density:
        """Compute the best guess at p(z | x_seen) that takes one pass through a network.

        It is that of the partial encoder, or without one the encoder's q(z | x).
        """
        if self.partial_encoder is None:
            return self.posterior(x, mask)
        return self.partial_encoder(self, x, mask)

    def decode(self, z: Tensor) -> Likelihood:
        """Compute p(x | z), for z (..., D)."""
        return self.likelihood(self.decoder_output(z))

    def decoder_output(self, z: Tensor) -> Tensor:
        """Compute the parameter of the likelihood, z (..., D) → (..., *parameter)."""
        require_latents(z, self.latents)
        return self.decoder(as_input_of(self.decoder, z)).to(at_least_float32(z))

    def decoder_jacobian(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the same at z (B, D), and its derivative by each latent, (D, B, *parameter)."""
        given, like = as_input_of(self.decoder, z), at_least_float32(z)
        parameter, jacobian = decoder_network(self.decoder).jacobian(given)
        return parameter.to(like), jacobian.to(like)

    def decoder_pushed(self, z: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the same at z (B, D), and its derivatives along R directions, (R, B, D).

        The latter are (R, B, *parameter).
        """
        given, like = as_input_of(self.decoder, z), at_least_float32(z)
        parameter, moved = decoder_network(self.decoder).pushed(given, tangents.to(given))
        return parameter.to(like), moved.to(like)

    def log_likelihood(self, x: Tensor, z: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute log p(x_seen | z) in nats: x (B, *event), z (..., B, D) → (..., B)."""
        require_rows(x, self.event_shape, mask)
        require_latents(z, self.latents)
        require_latents_of(z, x)
        return self.decode(z).log_prob(x, mask)

    def log_joint(self, x: Tensor, z: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute log p(x_seen, z) in nats: x (B, *event), z (..., B, D) → (..., B)."""
        # log p(x, z) = log p(x | z) + log p(z)
        return self.log_likelihood(x, z, mask) + self.prior(len(x)).log_prob(z)

    def draw(
        self,
        q: Density,
        k: int,
        generator: torch.Generator,
        products: torch.dtype = torch.float32,
    ) -> tuple[Tensor, Tensor, Likelihood]:
        """Draw k values of z for each row from a density, (k, B, D), and decode them.

        A ladder decodes them on the way down on which it draws them.

        Args:
            q: the density.
            k: number of values.
            generator: random generator of the draws.
            products: type of the matrix products of the decoder.

        Returns:
            z, log q(z) in nats (k, B), and p(x | z).
        """
        if isinstance(q, LadderPosterior):
            with autocast(products, q.top.device):
                descent = q.descend(k, generator)
            return descent.z, descent.log_q.sum(0), self.likelihood(descent.parameter)
        z, log_q = q.draw(k, generator)
        with autocast(products, z.device):
            return z, log_q, self.decode(z)

    @checked
    def log_weights(
        self, x: Tensor, k: int, mask: Tensor | None = None, *, generator: torch.Generator
    ) -> Tensor:
        """Compute log w = log p(x_seen, z_k) − log q(z_k | x) in nats, (k, B), with z_k ~ q."""
        require_positive(k=k)
        q = self.posterior(x, mask)
        require_room((k, len(x), self.latents), x, k=k)
        z, log_q, likelihood = self.draw(q, k, generator)
        # log w = log p(x | z) + log p(z) − log q(z | x)
        return likelihood.log_prob(x, mask) + self.prior(len(x)).log_prob(z) - log_q

    @checked
    def log_predictive(
        self, x: Tensor, mask: Tensor, withheld: Tensor, k: int, *, generator: torch.Generator
    ) -> Tensor:
        """Estimate log p(x_i | x_seen) in nats of each withheld value, (B, *event), 0 elsewhere.

        It is from k draws of q(z | x_seen), by self-normalised importance sampling: Owen, *Monte
        Carlo theory, methods and examples* (2013), section 9.2. The estimate is consistent in k.

        Args:
            x: (B, *event).
            mask: True where a value is seen, like `x`.
            withheld: True where a value is scored, like `x`.
            k: number of draws of each row.
            generator: random generator of the draws.
        """
        require_positive(k=k)
        z, log_q = self.posterior(x, mask).draw(k, generator)
        likelihood = self.decode(z)
        # w_k = p(x_seen | z_k) p(z_k) / q(z_k | x_seen)
        log_w = likelihood.log_prob(x, mask) + self.prior(len(x)).log_prob(z) - log_q
        # log Σ_k w_k p(x_i | z_k) / Σ_k w_k
        shares = log_w.log_softmax(0).view(*log_w.shape, *[1] * (x.ndim - 1))
        found = torch.logsumexp(shares + likelihood.log_prob_per_value(x, withheld), 0)
        return found.masked_fill(~withheld, 0.0)

    @checked
    def generate(self, count: int, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw z from the prior; return the mean and a draw of each p(x | z), (count, *event)."""
        require_positive(count=count)
        require_room((count, *self.event_shape), next(self.parameters()), count=count)
        likelihood = self.decode(self.prior(count).sample(1, generator)[0])
        return likelihood.mean, likelihood.sample(generator)


def least_weights(config: ModelConfig, event_shape: tuple[int, ...]) -> int:
    """Count the weights of a model of `config`, at least, without building any.

    Gated and residual networks, and flows in few dimensions, are counted only in part. Networks
    that code of the user's makes are not counted.
    """
    if config.has_own_network:
        return 0
    kind, family = NETWORK_KINDS[config.network], POSTERIOR_FAMILIES[config.posterior]
    density = likelihood_class(config)
    input_shape, parameter_shape = (
        shape(event_shape) for shape in (density.input_shape, density.parameter_shape)
    )
    outputs = sum(family.sizes(config.latents))
    networks = kind.least_weights(config, input_shape, parameter_shape, outputs)
    prior = PRIOR_CLASSES[config.prior].least_weights(config, input_shape)
    return networks + prior + family.least_weights(config.latents)


def _prior_of_levels(top: Prior, rest: int) -> Prior:
    """Return the prior of all noise of a ladder, from that of its top level."""
    if isinstance(top, StandardNormal):
        return StandardNormal(len(top.origin) + rest)
    return TopPrior(top, rest)


def _built_in(
    config: ModelConfig, event_shape: tuple[int, ...], generator: torch.Generator
) -> tuple[nn.Module, nn.Module]:
    kind = NETWORK_KINDS[config.network]
    sizes = POSTERIOR_FAMILIES[config.posterior].sizes(config.latents)
    density = likelihood_class(config)
    encoder = (
        kind.encoder(config, density.input_shape(event_shape), sizes, generator)
        if sizes
        else NoEncoder()
    )
    return encoder, kind.decoder(config, density.parameter_shape(event_shape), generator)


def _pair(made: object, network: NetworkFactory) -> tuple[nn.Module, nn.Module]:
    """Check that a factory made two modules.

    Raises:
        UsageError: it made something else.
    """
    match made:
        case (nn.Module() as encoder, nn.Module() as decoder):
            return encoder, decoder
    raise UsageError(
        f"the network factory {name_of(network)} returned a {type(made).__name__}",
        why="expected (encoder, decoder), two modules, or a VAE",
        fix="return those from factory(event_shape, latents)",
    )


def _fitting(
    model: VAE, event_shape: tuple[int, ...], latents: int, network: NetworkFactory
) -> VAE:
    """Check that a model which code of the user's made is of this data.

    Raises:
        UsageError: it has another event shape or number of latents.
    """
    if (model.event_shape, model.latents) != (event_shape, latents):
        raise UsageError(
            f"the networks of the factory {name_of(network)} do not fit the data",
            why=f"they have events {model.event_shape} and {model.latents} latents; expected "
            f"{event_shape} and {latents}",
            fix="let the factory build them for the event_shape and latents that it is given",
        )
    return model


def _missing_factory(config: ModelConfig) -> UsageError:
    return UsageError(
        f"the networks of this model are made by {config.network}",
        why="that is code, which elboroom does not run by itself",
        fix="use --trust, or in Python pass the function: network=…",
    )


def _require_units(likelihood: ObservationModel) -> None:
    """Check that images can be standardised, as pseudo-inputs are those of the encoder."""
    has_units = likelihood.units is not None or isinstance(likelihood, TableModel)
    if has_units and not likelihood.is_measured:
        raise UsageError(
            "the pseudo-inputs cannot start at training rows",
            why="the encoder sees standardised values, and the units of the data are not known",
            fix="give VAE.from_config the statistics of the training part",
        )


def _start(
    likelihood: ObservationModel, statistics: Statistics | None, event_shape: tuple[int, ...]
) -> Tensor:
    """Return the parameter of independent values with the means of the training part."""
    if isinstance(likelihood, TableModel):  # its units have the marginals
        return torch.zeros_like(likelihood.start)
    mean = None if statistics is None else statistics.mean.float()
    mean = require_images(mean, event_shape, "decoder's output", likelihood.middle)
    assert statistics is not None
    scale = 1.0 if likelihood.units is None else likelihood.units.scale
    std = statistics.std.float().nan_to_num() / scale
    return likelihood.density.parameter_of(likelihood.standardise(mean), std)


def _set_output_bias(decoder: DecoderNetwork, parameter: Tensor) -> None:
    bias = decoder.output_bias
    if bias is None:
        raise UsageError(
            "the decoder's output cannot start at the mean row",
            why=f"a {type(decoder).__name__} has no output bias",
            fix="leave data_bias at False, or choose another network",
        )
    bias.data.copy_(parameter.flatten())


def require_model(model: object) -> None:
    """Check that a model is a `VAE`, and not one of its networks or a run.

    Raises:
        UsageError: it is anything else.
    """
    fix = "make one of your networks: VAE(encoder, decoder, latents); a run has Run.load_model()"
    require_instance("model", model, VAE, fix=fix)
