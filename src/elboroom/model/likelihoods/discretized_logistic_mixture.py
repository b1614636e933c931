"""The 256 levels of each channel of a picture, as a mixture for each pixel."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from elboroom.errors import UsageError
from elboroom.model.likelihoods import levels
from elboroom.model.likelihoods.likelihood import Likelihood, seen
from elboroom.model.likelihoods.mixture_blocks import LogProb, log_prob_in_blocks
from elboroom.randomness import uniforms

_HALF_RANGE = 0.5  # a decoder's output moves a location in units of half the way to white
_SCALE_AT_ZERO = 0.1  # where the decoder's output is 0
_LEAST_SCALE = 0.25 * levels.HALF_STEP
_LOG_2 = math.log(2)


class _Components(NamedTuple):
    """The K components of each pixel.

    Attributes:
        log_weights: (..., K, *sites).
        locations: (..., K, C, *sites).
        scales: (..., K, C, *sites).
    """

    log_weights: Tensor
    locations: Tensor
    scales: Tensor


@dataclass(frozen=True)
class DiscretizedLogisticMixture(Likelihood):
    """A mixture of K discretised logistics for each pixel, whose C channels share the weights.

    Given z and its component the channels of a pixel are independent, so that any of them may be
    unseen and integrates out exactly:

        p(x_seen | z) = Π_i Σ_k π_ik Π_{c seen} P(x_ic; μ_ikc, s_ikc)

    It is the likelihood of Salimans et al., *PixelCNN++* (2017), section 2.1, without the
    regression of one channel on the others.

    The parameter is (..., K (1 + 2 C), H, W): K logits of the weights, then K C locations and K C
    scales, the channels of a component together. Where it is 0 the weights are equal, and the
    locations lie evenly between black and white. `VectorMixture` has the form for vectors.
    """

    parameter: Tensor

    takes = levels.TAKES
    in_bits = True
    passes = 8.0
    components: ClassVar[int] = 10
    """K."""
    event_axes: ClassVar[int] = 3
    """The number of axes of x, (C, H, W)."""
    site_axes: ClassVar[int] = 2
    """The number of them after that of the channels."""

    def __post_init__(self) -> None:
        sizes = tuple(self.parameter.shape[-1 - self.site_axes :])
        if len(sizes) <= self.site_axes or not self._takes(*divmod(sizes[0], self.components)):
            raise UsageError(
                f"the decoder's output {tuple(self.parameter.shape)} is no parameter of a mixture",
                why=f"expected (..., {self.components} (1 + 2 C), H, W) for pictures (C, H, W), or "
                f"(..., {3 * self.components}, P) for vectors (P,)",
                fix="return the shape that parameter_shape of the likelihood states",
            )

    @staticmethod
    def _takes(each: int, rest: int) -> bool:
        """Return whether 1 + 2 C entries for each component, and some more, are a parameter."""
        return rest == 0 and each >= 3 and each % 2 == 1

    @classmethod
    def for_events(cls, event_shape: tuple[int, ...]) -> type[Likelihood]:
        """Return the class for pictures (C, H, W), or that for vectors (P,).

        Raises:
            UsageError: x is neither.
        """
        if len(event_shape) not in (1, 3):
            raise UsageError(
                "found --likelihood discretized-logistic-mixture; expected another",
                why=f"the data are neither pictures (C, H, W) nor vectors: {event_shape}",
                fix="use --likelihood discretized-logistic, which takes any shape",
            )
        return cls if len(event_shape) == 3 else VectorMixture

    @classmethod
    def parameter_shape(cls, event_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (K (1 + 2 C), H, W) for pictures (C, H, W), and (3 K, P) for vectors (P,)."""
        channels, *sites = event_shape if len(event_shape) > 1 else (1, *event_shape)
        return cls.components * (1 + 2 * channels), *sites

    @classmethod
    def parameter_of(cls, mean: Tensor, std: Tensor) -> Tensor:
        """Compute the parameter whose values have about the given means and deviations.

        Half of the variance is that of the locations, which are spread evenly.
        """
        mean, std = cls._with_channels(mean)[None], cls._with_channels(std)[None]
        # Var[μ_k] = d² (1 − K⁻²)/3 on the even places −d … d
        places = cls._evenly(mean) * (1.5 / (1 - cls.components**-2.0)) ** 0.5
        locations = mean + std * places
        scales = (std * 0.5**0.5 / levels.LOGISTIC_STD).clamp(min=2 * _LEAST_SCALE)
        shift = (locations - cls._anchors(mean)) / _HALF_RANGE
        # s = s_min + s_0 softplus(a) / log 2
        grown = (scales - _LEAST_SCALE) * (_LOG_2 / _SCALE_AT_ZERO)
        raw = grown + torch.log(-torch.expm1(-grown))
        entries = torch.stack([shift, raw.expand_as(shift)]).flatten(0, 2)
        return torch.cat([torch.zeros_like(entries[: cls.components]), entries])

    @classmethod
    def parameter_mask(cls, mask: Tensor) -> Tensor:
        """Return True where an entry of the parameter bears on a seen value."""
        mask = cls._with_channels(mask)
        axis = -1 - cls.site_axes
        some = mask.any(axis, keepdim=True)
        return torch.cat([some] * cls.components + [mask] * (2 * cls.components), axis)

    @classmethod
    def sites(cls, mask: Tensor) -> Tensor:
        """Return True for all channels of a pixel where one of them is True."""
        channels = cls._with_channels(mask)
        some = channels.any(-1 - cls.site_axes, keepdim=True)
        return cls._without_channels(some.expand_as(channels))

    @classmethod
    def restriction(cls, needed: Tensor) -> tuple[Tensor, Tensor]:
        """Return all values of the S pixels of which one is needed: pictures (C, S, 1)."""
        needed = cls._with_channels(needed)
        sites = needed.any(0).flatten().nonzero()[:, 0]
        shape = -1, len(sites), *(1 for _ in range(cls.site_axes - 1))

        def indices(channels: int) -> Tensor:
            first = torch.arange(channels, device=needed.device) * needed[0].numel()
            return (first[:, None] + sites).view(shape)

        entries = cls.components * (1 + 2 * len(needed))
        return cls._without_channels(indices(len(needed))), indices(entries)

    @staticmethod
    def fits(x: Tensor) -> Tensor:
        """Return True where the likelihood accepts a value of x."""
        return levels.are_levels(x)

    @property
    def mean(self) -> Tensor:
        """E[x | z], (..., *event)."""
        log_weights, locations, scales = self._components
        means = levels.mean_level(locations, scales)
        # E[x_c] = Σ_k π_k E[x_c | k]
        mixed = (self._per_channel(log_weights.exp()) * means).sum(-2 - self.site_axes)
        return self._without_channels(mixed)

    @property
    def parameters(self) -> dict[str, Tensor]:
        """`log_weights` (..., K, *sites), `locations` and `scales`, both (..., K, C, *sites)."""
        return self._components._asdict()

    def sample(self, generator: torch.Generator) -> Tensor:
        """Draw levels, (..., *event)."""
        log_weights, locations, scales = self._components
        axis = -1 - self.site_axes
        u = uniforms(log_weights.narrow(axis, 0, 1).shape, log_weights, generator)
        # The last cumulated weight is 1 but for rounding.
        below = (log_weights.exp().cumsum(axis) < u).sum(axis, keepdim=True)
        chosen = self._per_channel(below.clamp(max=self.components - 1))
        chosen = chosen.expand_as(locations.narrow(axis - 1, 0, 1))
        location, scale = (
            v.gather(axis - 1, chosen).squeeze(axis - 1) for v in (locations, scales)
        )
        return self._without_channels(levels.draw(location, scale, generator))

    def log_prob(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute log p(x_seen | z) in nats of x (B, *event), (..., B)."""
        if torch.compiler.is_compiling():
            return self.log_prob_at_once(x, mask)
        if torch.is_grad_enabled():
            return LogProb.apply(self.parameter, x, mask, type(self))[0]
        return log_prob_in_blocks(self.parameter, x, mask, type(self))

    def log_prob_at_once(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute the same by whole arrays."""
        return self._total(self._joint(x, mask).logsumexp(-1 - self.site_axes), mask)

    def log_prob_table(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute log p(x_seen | z) in nats of B events under each of G parameters, (G, B).

        It takes one event at a time.
        """
        masks = [None] * len(x) if mask is None else mask.split(1)
        wide = type(self)(self.parameter[:, None])
        rows = [wide.log_prob(row, m) for row, m in zip(x.split(1), masks, strict=True)]
        return torch.cat(rows, -1)

    def log_prob_per_value(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute log p(x_i | z) in nats of each seen value alone, (..., B, *event).

        The channels of a pixel go together, so that these do not add up to `log_prob`.
        """
        log_weights, locations, scales = self._components
        x, wide = self._beside_components(x, mask)
        log_mass = levels.log_mass(x, locations, scales, wide)
        values = (self._per_channel(log_weights) + log_mass).logsumexp(-2 - self.site_axes)
        return seen(self._without_channels(values), mask)

    def given(self, x: Tensor, mask: Tensor) -> "DiscretizedLogisticMixture":
        """Return p(x_unseen | z, x_seen): the seen channels of a pixel weigh its components."""
        logits, axis = self._joint(x, mask), -1 - self.site_axes
        rest = self.parameter.tensor_split([self.components], axis)[1]
        rest = rest.expand(*logits.shape[:axis], *rest.shape[axis:])
        return type(self)(torch.cat([logits, rest], axis))

    def score(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute ∂ log p(x_seen | z) by the parameter, (..., B, *parameter)."""
        return self.log_prob_and_score(x, mask)[1]

    @torch.no_grad()
    def log_prob_and_score(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Compute `log_prob` and `score` together, without a graph."""
        log_weights, locations, scales = self._components
        wide_x, wide_mask = self._beside_components(x, mask)
        log_mass, by_location, by_log_scale = levels.mass(wide_x, locations, scales, wide_mask)
        axis = -1 - self.site_axes
        joint = log_weights + log_mass.sum(axis)
        sites = joint.logsumexp(axis, keepdim=True)
        # ∂ log Σ_k π_k p_k = Σ_k r_k ∂ log (π_k p_k), with the shares r_k = π_k p_k / Σ_j π_j p_j
        shares = (joint - sites).exp()
        wide = self._per_channel(shares)
        moved = wide * by_location * _HALF_RANGE, wide * by_log_scale * self._log_scale_slope
        found = self._joined(shares - log_weights.exp(), *moved)
        score = found if mask is None else seen(found, self.parameter_mask(mask))
        return self._total(sites.squeeze(axis), mask), score

    def information(self, mask: Tensor | None = None) -> Tensor:
        """Compute the information of seen pixels and their components, (..., B, *parameter).

        It is the diagonal of the Fisher information of (x, k), as if the component of each pixel
        were seen too. That of x alone has no closed form, and is smaller; both are the same where
        components lie apart, or coincide and move together.
        """
        log_weights, locations, scales = self._components
        weights = log_weights.exp()
        on_location, on_log_scale = levels.information(locations, scales)
        wide = self._per_channel(weights)
        found = self._joined(
            weights * (1 - weights),
            wide * on_location * _HALF_RANGE**2,
            wide * on_log_scale * self._log_scale_slope.square(),
        )
        return found if mask is None else seen(found, self.parameter_mask(mask))

    @cached_property
    def _components(self) -> _Components:
        logits, shift, raw = self._entries
        log_weights = logits.log_softmax(-1 - self.site_axes)
        locations = self._anchors(shift) + _HALF_RANGE * shift
        return _Components(
            log_weights, locations, _LEAST_SCALE + _SCALE_AT_ZERO * F.softplus(raw) / _LOG_2
        )

    @property
    def _entries(self) -> tuple[Tensor, Tensor, Tensor]:
        """The logits (..., K, *sites), and the outputs of locations and scales."""
        axis, k = -1 - self.site_axes, self.components
        logits, rest = self.parameter.tensor_split([k], axis)
        shift, raw = rest.unflatten(axis, (2, k, -1)).unbind(axis - 2)
        return logits, shift, raw

    @property
    def _log_scale_slope(self) -> Tensor:
        """∂ log s by the decoder's output."""
        raw = self._entries[2]
        return _SCALE_AT_ZERO / _LOG_2 * raw.sigmoid() / self._components.scales

    def _total(self, sites: Tensor, mask: Tensor | None) -> Tensor:
        """Sum log p of the pixels, (..., B, *sites) → (..., B)."""
        if mask is not None:  # rounding apart, the weights of an unseen pixel sum to 1
            sites = seen(sites, self._with_channels(mask).any(-1 - self.site_axes))
        return sites.flatten(-self.site_axes).sum(-1)

    def _joint(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Compute log π_k + Σ_{c seen} log P(x_c | k), (..., B, K, *sites)."""
        log_weights, locations, scales = self._components
        x, mask = self._beside_components(x, mask)
        log_mass = levels.log_mass(x, locations, scales, mask)
        return log_weights + log_mass.sum(-1 - self.site_axes)

    def _beside_components(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return x, 0 where unseen, and mask in shapes that broadcast to (..., K, C, *sites)."""
        axis = -2 - self.site_axes
        wide = None if mask is None else self._with_channels(mask).unsqueeze(axis)
        return self._with_channels(seen(x, mask)).unsqueeze(axis), wide

    def _joined(self, logits: Tensor, shift: Tensor, raw: Tensor) -> Tensor:
        """Join entries in the order of the parameter."""
        axis = -1 - self.site_axes
        flat = (values.flatten(axis - 1, axis) for values in (shift, raw))
        return torch.cat([logits, *flat], axis)

    def _per_channel(self, values: Tensor) -> Tensor:
        """Return values (..., K, *sites) with an axis for the channels."""
        return values.unsqueeze(-1 - self.site_axes)

    @classmethod
    def _evenly(cls, like: Tensor) -> Tensor:
        """Return K even places around 0, within ±1, (K, 1, ...)."""
        k = cls.components
        places = (2 * torch.arange(k, dtype=like.dtype, device=like.device) + 1) / k - 1
        return places.view(k, *(1 for _ in range(1 + cls.site_axes)))

    @classmethod
    def _anchors(cls, like: Tensor) -> Tensor:
        """Return the locations of a decoder's output 0, evenly between black and white."""
        return 0.5 + 0.5 * cls._evenly(like)

    @classmethod
    def _with_channels(cls, values: Tensor) -> Tensor:
        """Return values of x (..., *event) with an axis for channels."""
        return values

    @classmethod
    def _without_channels(cls, values: Tensor) -> Tensor:
        """Return values (..., C, *sites) in the shape of x."""
        return values


class VectorMixture(DiscretizedLogisticMixture):
    """A mixture of K discretised logistics for each value of a vector (P,): (..., 3 K, P)."""

    event_axes = site_axes = 1

    @staticmethod
    def _takes(each: int, rest: int) -> bool:
        return (each, rest) == (3, 0)

    @classmethod
    def _with_channels(cls, values: Tensor) -> Tensor:
        return values.unsqueeze(-2)

    @classmethod
    def _without_channels(cls, values: Tensor) -> Tensor:
        return values.squeeze(-2)
