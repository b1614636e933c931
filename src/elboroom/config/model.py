"""Options of the model."""

import math
import re
from dataclasses import dataclass
from typing import Annotated, Literal

from tyro.conf import arg

from elboroom.config.checks import require, require_choices
from elboroom.config.columns import column_likelihood
from elboroom.config.kinds import (
    ACTIVATIONS,
    COLUMN_LIKELIHOODS,
    FACTORY,
    FACTORY_HELP,
    LIKELIHOODS,
    NETWORKS,
    NORMALISATIONS,
    POSTERIORS,
    PRIORS,
    STANDARDISE,
    Activation,
    LikelihoodName,
    Normalisation,
    PosteriorName,
    PriorName,
    Standardise,
    listed,
)
from elboroom.config.options_table import Options
from elboroom.config.typed_tables import require_types

WIDTHS = "--hidden (--channels with --network conv)"
"""The options that make networks narrower, as messages name them."""
_COLUMNS = "column_likelihoods"  # the option of `columns`: `DataConfig` has another of that name


@dataclass(frozen=True)
class ModelConfig(Options):
    """The networks, an encoder and a decoder with its layers in reverse, and the densities.

    Example:
        >>> config = ModelConfig(latents=8, hidden=(256, 64), prior="mixture", components=10)
        >>> deep = VAE.from_config(config, data.event_shape, generator=generator)
        >>> deep.posterior(x).mean.shape, deep.prior(1).sample(5, generator).shape
        (torch.Size([3, 8]), torch.Size([5, 1, 8]))
    """

    latents: int = 2
    """Dimension D of the latent space; of a ladder that of its top level."""
    hidden: tuple[int, ...] = (500,)
    """Widths of the encoder's hidden layers, from image to latent."""
    activation: Annotated[
        Activation, arg(help=listed("Nonlinearity between layers.", ACTIVATIONS))
    ] = "tanh"
    network: Annotated[
        str,
        arg(
            help=listed("Hidden layers, or code of your own.", NETWORKS | {FACTORY: FACTORY_HELP}),
            metavar=f"{{{','.join(NETWORKS)},{FACTORY}}}",
        ),
    ] = "mlp"
    normalisation: Annotated[
        Normalisation, arg(help=listed("Normalisation before each activation.", NORMALISATIONS))
    ] = "none"
    channels: tuple[int, ...] | Literal["auto"] = "auto"
    """Channels of conv and ladder after each halving of a picture's sides. auto halves them until
    both are 8 or less: 32 channels, which the last two halvings double. A ladder of vectors has
    one width, by default 128."""
    levels: tuple[int, ...] | Literal["auto"] = "auto"
    """Number of levels of a ladder below the top, at each of its resolutions from the largest to
    the smallest. auto takes one at those of 16 pixels or less and two at the smallest, and three
    for vectors."""
    level_channels: tuple[int, ...] | Literal["auto"] = "auto"
    """Latents at each pixel of a level of a ladder, for each resolution. auto takes 8, or as many
    as make 392 latents a level."""
    blocks: tuple[int, ...] | Literal["auto"] = "auto"
    """Blocks of a ladder's encoder at each resolution. auto takes one, and two at the smallest."""
    data_bias: bool = False
    """Initialise the mean of p(x | z) at the mean of the training part, except with networks of
    your own."""

    posterior: Annotated[
        PosteriorName, arg(help=listed("Family of the encoder's q(z | x).", POSTERIORS))
    ] = "diagonal"
    likelihood: Annotated[
        LikelihoodName,
        arg(help=listed("p(x | z); all but bernoulli need --binarisation none.", LIKELIHOODS)),
    ] = "auto"
    columns: Annotated[
        tuple[str, ...],
        arg(
            name="column-likelihoods",
            help=listed(
                "Under columns the likelihood of each column of the data in order, C levels as "
                "ordinal:C; by default those of the table's schema.",
                COLUMN_LIKELIHOODS,
            ),
        ),
    ] = ()
    noise: float | None = None
    """Scale of the noise of all values in their own units, for gaussian (the standard deviation)
    and discretized-logistic. None learns one for each value or channel, or one for all, as
    --standardise has it."""
    standardise: Annotated[
        Standardise,
        arg(
            help=listed(
                "Values that share a mean and a standard deviation, which the model takes from "
                "the training part and keeps; densities stay those of the data in their own units.",
                STANDARDISE,
            )
        ),
    ] = "auto"
    prior: Annotated[PriorName, arg(help=listed("The prior p(z).", PRIORS))] = "standard"
    components: int = 100
    """Components of a mixture or vamp prior."""

    def __post_init__(self) -> None:
        require_types(self)
        require(self.latents >= 1, "latents", self.latents, "1 or more")
        require(
            all(width >= 1 for width in self.hidden), "hidden", self.hidden, "widths of 1 or more"
        )
        require(self.components >= 1, "components", self.components, "1 or more")
        require_choices(self, activation=Activation, normalisation=Normalisation)
        require(
            self.network in NETWORKS or self.has_own_network,
            "network",
            self.network,
            f"one of {', '.join(NETWORKS)}, or {FACTORY}",
        )
        require_choices(self, posterior=PosteriorName, likelihood=LikelihoodName, prior=PriorName)
        require_choices(self, standardise=Standardise)
        noisy = self.noise is None or (self.may_have_noise and 0 < self.noise < math.inf)
        require(noisy, "noise", self.noise, "positive, with gaussian or discretized-logistic")
        real = self.likelihood in ("auto", "gaussian") or self.standardise in ("auto", "none")
        require(real, "standardise", self.standardise, "auto or none except with gaussian")
        require(
            self.network != "residual" or len(set(self.hidden)) == 1,
            "hidden",
            self.hidden,
            "the same width for every block with --network residual",
        )
        self._require_network_options()
        self._require_columns()
        require(
            self.prior != "vamp" or self.normalisation != "batch",
            "normalisation",
            self.normalisation,
            "none or layer with --prior vamp, whose pseudo-inputs are not a batch of images",
        )
        mixed = self.posterior != "laplace" or self.prior in ("standard", "mixture")
        require(mixed, "prior", self.prior, "standard or mixture with --posterior laplace")
        diagonal = self.prior != "vamp" or self.posterior == "diagonal"
        require(diagonal, "posterior", self.posterior, "diagonal with --prior vamp")

    def _require_columns(self) -> None:
        """Check that columns are named where they count, and that the network takes them.

        Raises:
            UsageError: they are not, or it does not.
        """
        is_table = self.likelihood == "columns"
        known = is_table or not self.columns
        require(known, _COLUMNS, self.columns, "left out except with --likelihood columns")
        for column in self.columns:
            column_likelihood(column)
        conv = is_table and self.network == "conv"
        require(not conv, "network", self.network, "another than conv with --likelihood columns")

    def _require_network_options(self) -> None:
        """Check that the network has the options that are given.

        Raises:
            UsageError: it has not.
        """
        is_ladder = self.network == "ladder"
        has_maps, found = is_ladder or self.network == "conv", self.channels
        wide = found == "auto" or (has_maps and min(found, default=0) >= 1)
        require(wide, "channels", found, "auto, or widths of 1 or more with conv or ladder")
        known = self.normalisation != ("batch" if has_maps else "group") or self.has_own_network
        norms = "none, layer or group with" if has_maps else "none, layer or batch except with"
        require(known, "normalisation", self.normalisation, f"{norms} conv and ladder")
        for option, least in (("levels", 0), ("level_channels", 1), ("blocks", 0)):
            found = getattr(self, option)
            fits = found == "auto" or (is_ladder and min(found, default=-1) >= least)
            expected = f"auto, or numbers of {least} or more with --network ladder"
            require(fits, option, found, expected)
        if is_ladder:
            diagonal = self.posterior == "diagonal"
            require(diagonal, "posterior", self.posterior, "diagonal with --network ladder")
            require(self.prior != "vamp", "prior", self.prior, "another than vamp with ladder")

    @property
    def has_own_network(self) -> bool:
        """True if `network` names a factory, whose code makes the networks."""
        return re.fullmatch(r"[^\s:]+:[^\s:]+", self.network) is not None

    @property
    def may_have_noise(self) -> bool:
        """True unless the likelihood is known to have no scale beside the decoder's output."""
        return self.likelihood in ("auto", "gaussian", "discretized-logistic")
