"""The two networks of a ladder: features from the data upwards, and levels from the top down."""

import math
from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from elboroom.model.networks.ladder.layers import PosteriorHead, TopDownLevel
from elboroom.model.networks.layers import at_least_float32
from elboroom.model.networks.maps import Output
from elboroom.model.networks.network import DecoderNetwork, EncoderNetwork


class LadderEncoder(EncoderNetwork):
    """x (B, *event) → the features that q(ε | x) is computed from, on the way down the decoder.

    The parameters of q at a level depend on the noise of the levels above, so that no encoder alone
    returns them: see `elboroom.model.posteriors.ladder`.

    Args:
        input: x → maps of the largest resolution.
        climbs: for each resolution, maps of the one before → its own; the first takes the input's.
        top: maps of the smallest resolution → the parameters of the top level, (B, 2 T).
        heads: for each level below the top, in the order of drawing, what computes its parameters.
        places: the resolution of each head, among those of `climbs`.
    """

    def __init__(
        self,
        input: nn.Module,
        climbs: Sequence[nn.Module],
        top: nn.Module,
        heads: Sequence[PosteriorHead],
        places: Sequence[int],
    ) -> None:
        super().__init__()
        self.input, self.top = input, top
        self.climbs, self.heads = nn.ModuleList(climbs), nn.ModuleList(heads)
        self.places = tuple(places)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the parameters of the top level, (B, 2 T), and the features for each head."""
        maps, state = list[Tensor](), self.input(x)
        for climb in self.climbs:
            state = climb(state)
            maps.append(state)
        heads = (cast(PosteriorHead, head) for head in self.heads)
        pairs = zip(heads, self.places, strict=True)
        return at_least_float32(self.top(state)), *(h.of_features(maps[p]) for h, p in pairs)


class LadderDecoder(DecoderNetwork):
    """ε (..., D) → the parameter of the likelihood, level by level.

    Args:
        top: noise of the top level, (B, T) → the first state.
        levels: the levels below the top, in the order of drawing.
        tail: the last state → the output.
        sizes: number of latents of each level, the top first; D is their sum.
        parameter_shape: shape of the output.
        widest_activation: the largest number of values that a layer has for one ε.
    """

    def __init__(
        self,
        top: nn.Module,
        levels: Sequence[TopDownLevel],
        tail: nn.Sequential,
        sizes: Sequence[int],
        parameter_shape: tuple[int, ...],
        widest_activation: int,
    ) -> None:
        super().__init__()
        self.top, self.levels, self.tail = top, nn.ModuleList(levels), tail
        self.sizes, self.parameter_shape = tuple(sizes), parameter_shape
        self._widest_activation = widest_activation

    def forward(self, z: Tensor) -> Tensor:
        """Compute the parameter, in float32 even where layers compute in bfloat16."""
        first, *rest = z.reshape(-1, z.shape[-1]).split(self.sizes, -1)
        state = self.top(first)
        for level, eps in zip(self.levels, rest, strict=True):
            state = level(state, eps)
        return self.output(state, z.shape[:-1])

    def output(self, state: Tensor, leading: Sequence[int]) -> Tensor:
        """Compute the parameter (*leading, *parameter) from the last state."""
        return at_least_float32(self.tail(state)).reshape(*leading, *self.parameter_shape)

    @property
    def level_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of the latents of each level, the top first: (T,), then (c, h, w)."""
        levels = (cast(TopDownLevel, level) for level in self.levels)
        return self.sizes[:1], *(level.shape for level in levels)

    @property
    def widest_activation(self) -> int:
        """The largest number of values of any layer."""
        return self._widest_activation

    @property
    def output_bias(self) -> nn.Parameter:
        """The bias of the output, one value for each entry."""
        return cast(Output, self.tail[-1]).bias

    def values_outside_products(self, parameter_shape: tuple[int, ...]) -> int:
        """Return 0: the posterior walks down level by level, which compiling does not speed up."""
        return 0

    @property
    def values_of_layers(self) -> int:
        """The outputs of all layers of the levels, twice: the encoder has about as many."""
        return 2 * sum(_values(cast(TopDownLevel, level)) for level in self.levels)


def _values(level: TopDownLevel) -> int:
    """Count the outputs of the layers of a level, each of which has a bias for every channel."""
    channels = sum(bias.numel() for bias in level.parameters() if bias.ndim == 1)
    return channels * math.prod(level.shape[1:])
