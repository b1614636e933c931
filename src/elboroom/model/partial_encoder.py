"""The partial encoder r(z | x_seen, m): a network that has learned of every mask.

Strauss & Oliva, *Posterior Matching for Arbitrary Conditioning* (2022); Harvey, Naderiparizi &
Wood, *Conditional Image Generation by Conditioning Variational Auto-Encoders* (2022).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from elboroom.config import ModelConfig, PartialFamilyName, PosteriorName
from elboroom.errors import UsageError
from elboroom.model.arguments import require_rows
from elboroom.model.encoding import encode, family_of
from elboroom.model.likelihoods import ObservationModel
from elboroom.model.networks import NETWORK_KINDS
from elboroom.model.posteriors import POSTERIOR_FAMILIES, Density, LadderFamily, RowsOfDensities
from elboroom.model.priors import Prior

_MOST_FULL = 64  # latents: a full covariance of more would be most of the network


class EncodedModel(Protocol):
    """A model whose posterior a partial encoder approximates, as `VAE` is one."""

    latents: int
    event_shape: tuple[int, ...]
    encoder: nn.Module
    decoder: nn.Module
    likelihood: ObservationModel
    prior: Prior
    family: Callable[..., Density]

    def posterior(self, x: Tensor, mask: Tensor | None = None) -> Density:
        """Compute the encoder's q(z | x)."""
        ...


class PartialEncoder:
    """A map from the seen values of x, and the mask m of where they are, to r(z | x_seen, m).

    It belongs to a model, which it never changes. The model holds it as `model.partial_encoder`,
    outside of its weights: `state_dict` and fingerprint of the model stay as they are.

    A row of which nothing is seen has the model's prior, and a row of which everything is seen the
    encoder's q(z | x), both exactly. The network answers for all other masks.

    That of a ladder has levels, too: on the way down the model's own decoder, heads of its own
    compute each level from the state and from features of what is seen.

    Args:
        network: [encoder input, mask] (B, *input) → the parameters of r, which `family` takes. The
            mask is joined along the first axis of the input: as further channels of pictures, as
            further numbers of vectors.
        family: the parameters → a density. Its `log_prob` is all that training needs, so that it
            may be of any kind, an autoregressive one included.

    Attributes:
        module: network and family as one module, with all weights.
    """

    def __init__(self, network: nn.Module, family: Callable[..., Density]) -> None:
        self.network, self.family = network, family
        weighted = {"family": family} if isinstance(family, nn.Module) else {}
        self.module = nn.ModuleDict({"network": network, **weighted}).eval()

    @classmethod
    def from_config(
        cls,
        model: EncodedModel,
        config: ModelConfig,
        family: PartialFamilyName,
        *,
        generator: torch.Generator,
    ) -> "PartialEncoder":
        """Build a partial encoder like a model's encoder, and start at the encoder's weights.

        Weights of the mask, and of what r has beyond q, start at 0. Where the encoder is the user's
        own, or there is none, fully connected layers start at random weights.

        Args:
            model: the model.
            config: options of the networks.
            family: the family of r.
            generator: random generator of initial weights.

        Raises:
            UsageError: the networks are those of a ladder, and the model is not the same ladder or
                the family is not "auto".
        """
        if config.has_own_network:
            config = replace(config, network="mlp", normalisation="none", channels="auto")
        name = resolve_family(family, model.latents)
        first, *rest = model.likelihood.input_shape(model.event_shape)
        shape = (first + model.event_shape[0], *rest)
        sizes = POSTERIOR_FAMILIES[name].sizes(model.latents)
        network = NETWORK_KINDS[config.network].encoder(config, shape, sizes, generator)
        built = family_of(network, name, model.latents, generator)
        if isinstance(built, LadderFamily):
            _require_levels_of(model, built, family)
        _start_at(network, model.encoder)
        return cls(network, built)

    def __call__(self, model: EncodedModel, x: Tensor, mask: Tensor | None = None) -> Density:
        """Compute r(z | x_seen, m) of each row.

        Args:
            model: the model that it belongs to.
            x: (B, *event).
            mask: True where a value is seen, like `x` or broadcast to it; None if all are.
        """
        require_rows(x, model.event_shape, mask)
        if mask is None:
            return model.posterior(x)
        mask = mask.expand_as(x)
        seen = mask.flatten(1)
        whole, empty = seen.all(1), ~seen.any(1)
        kinds: list[tuple[Tensor, Callable[[Tensor], Density]]] = [
            (whole, lambda rows: model.posterior(x[rows])),
            (empty, lambda rows: model.prior(len(rows))),
            (~(whole | empty), lambda rows: self.between(model, x[rows], mask[rows])),
        ]
        found = [(which.nonzero()[:, 0], make) for which, make in kinds if which.any()]
        return RowsOfDensities.of([(rows, make(rows)) for rows, make in found])

    def between(self, model: EncodedModel, x: Tensor, mask: Tensor) -> Density:
        """Compute what the network alone answers, also where all or nothing is seen.

        Args:
            model: the model that it belongs to.
            x: (B, *event).
            mask: True where a value is seen, like `x`.
        """
        shown = model.likelihood.encoder_input(x, mask)
        given = torch.cat([shown, mask.to(shown)], 1)
        return encode(self.network, self.family, model.decoder, given)

    def move(
        self, fn: Callable[[Tensor], Tensor], wide: Callable[[Tensor], Tensor], recurse: bool
    ) -> None:
        """Move the weights, or convert them: those of the network by `fn`, others by `wide`."""
        for name, part in self.module.items():
            part._apply(fn if name == "network" else wide, recurse)


def resolve_family(family: PartialFamilyName, latents: int) -> PosteriorName:
    """Return the family of r: `auto` is full, and diagonal for more than 64 latents."""
    if family == "auto":
        return "full" if latents <= _MOST_FULL else "diagonal"
    return family


def _require_levels_of(model: EncodedModel, built: LadderFamily, family: PartialFamilyName) -> None:
    """Check that the levels of r are those of the model, and that no family is asked for.

    Raises:
        UsageError: they are not.
    """
    if family != "auto":
        raise UsageError(
            f"the partial encoder of a ladder cannot have the family {family}",
            why="it has the levels of the ladder: a diagonal Gaussian of each, given those above",
            fix="use the family auto",
        )
    own = model.family
    if not isinstance(own, LadderFamily) or _shapes(built.heads) != _shapes(own.heads):
        raise UsageError(
            "the partial encoder cannot walk down this model's decoder",
            why="its levels, from the options of the networks, are not those of the model",
            fix="give the options that the model was made with",
        )


def _shapes(module: nn.Module) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in module.state_dict().items()}


@torch.no_grad()
def _start_at(network: nn.Module, encoder: nn.Module) -> None:
    """Copy the weights of an encoder of the same layers to the first rows and columns of each.

    What is beyond them starts at 0. If the layers differ, nothing is copied.
    """
    wide, narrow = network.state_dict(), encoder.state_dict()
    if [*wide] != [*narrow] or not all(_fits(narrow[n], wide[n]) for n in wide):
        return
    for name, value in wide.items():
        corner = tuple(slice(size) for size in narrow[name].shape)
        value.zero_()
        value[corner] = narrow[name].to(value)


def _fits(narrow: object, wide: object) -> bool:
    """Return whether a tensor has the axes of another one, none of them longer."""
    small, large = cast(Tensor, narrow).shape, cast(Tensor, wide).shape
    return len(small) == len(large) and all(a <= b for a, b in zip(small, large, strict=True))
