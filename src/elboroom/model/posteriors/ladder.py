"""The posterior of a ladder: the noise of each level given those above, on the way down.

In the noise ε a ladder is a model of one level with p(ε) = N(0, I). Its posterior is
q(ε | x) = q(ε_L | x) Π_l q(ε_l | ε_>l, x), where each factor is a diagonal Gaussian. It is the
residual posterior of Vahdat & Kautz, *NVAE: A Deep Hierarchical Variational Autoencoder* (2020),
section 3.2, in units of the prior's standard deviation.
"""

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar, cast

import torch
from torch import Tensor, nn

from elboroom.model.networks.layers import as_input_of
from elboroom.model.normal import LOG_2PI
from elboroom.model.posteriors.density import Density, DiagonalGaussian
from elboroom.randomness import normals

_MOMENT_DRAWS = 16  # of the mean, which has no closed form
_MOMENT_ROWS = 100  # that go down together for it: all of many would not fit in memory
_Part = TypeVar("_Part")
_Moments = tuple[Tensor, Tensor]
"""Mean and standard deviation of the noise of a level, (R, d) each."""


class Level(Protocol):
    """A level of the decoder below the top; `TopDownLevel` is one."""

    def enter(self, state: Tensor) -> Tensor:
        """Bring the state above into the resolution of the level."""
        ...

    def take(self, state: Tensor, eps: Tensor) -> Tensor:
        """Compute the state below the level from the one that entered, and the noise."""
        ...


class TopDown(Protocol):
    """The decoder of a ladder; `elboroom.model.networks.LadderDecoder` is one."""

    sizes: tuple[int, ...]
    top: nn.Module
    levels: nn.ModuleList

    @property
    def level_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of the latents of each level, the top first."""
        ...

    def output(self, state: Tensor, leading: tuple[int, ...]) -> Tensor:
        """Compute the likelihood's parameter from the last state."""
        ...


@dataclass(frozen=True)
class Descent:
    """One way down the ladder for each of K draws of B rows.

    Attributes:
        z: the noise of all levels, (K, B, D).
        log_q: log q of the noise of each level given those above, in nats, (L, K, B).
        kl: KL(q(ε_l | ε_>l, x) ‖ N(0, I)) of each level in nats, (L, K, B). The mean over draws
            estimates E_q[KL].
        mean: the mean of the noise of each level given those above, (K, B, D).
        parameter: the decoder's output, (K, B, *parameter).
        divergence: KL(q(ε_l | ε_>l, x) ‖ r(ε_l | ε_>l)) of each level to another posterior r of the
            same ladder in nats, (L, K, B). The mean over draws estimates KL(q ‖ r). None without r.
    """

    z: Tensor
    log_q: Tensor
    kl: Tensor
    mean: Tensor
    parameter: Tensor
    divergence: Tensor | None = None


@dataclass(frozen=True, repr=False)
class LadderPosterior(Density):
    """q(ε | x) for each of B rows; its parameters are computed level by level.

    Attributes:
        top: mean and log standard deviation of the top level, (B, 2 T).
        features: the features of each level below, (B, C, h, w).
        heads: for each of these, state and features → mean and deviation of the level's noise.
        decoder: computes the state below a level from that above it.
    """

    top: Tensor
    features: tuple[Tensor, ...]
    heads: nn.ModuleList
    decoder: TopDown

    def descend(
        self, k: int, generator: torch.Generator, against: "LadderPosterior | None" = None
    ) -> Descent:
        """Draw k values of ε for each row, on one way down with what they decode to.

        Args:
            k: number of values.
            generator: random generator of the draws.
            against: another posterior of the same ladder, for `Descent.divergence`.
        """
        noise = self._noise(k, len(self.top), generator)
        way = self._down(noise, is_noise=True, against=against)
        return Descent(
            z=way.joined("eps"),
            log_q=way.stacked("log_q"),
            kl=way.stacked("kl"),
            mean=way.joined("mean"),
            parameter=self.decoder.output(way.state, way.leading),
            divergence=None if against is None else way.stacked("divergence"),
        )

    def _noise(self, k: int, rows: int, generator: torch.Generator) -> Tensor:
        return normals((k, rows, sum(self.decoder.sizes)), self.top, generator)

    def _down(
        self, given: Tensor, *, is_noise: bool, against: "LadderPosterior | None" = None
    ) -> "_Way":
        """Walk down with the noise η that ε is computed from, or with ε itself, (..., B, D)."""
        # ε_l = m_l(ε_>l, x) + s_l(ε_>l, x) η_l
        first, *rest = given.reshape(-1, given.shape[-1]).split(self.decoder.sizes, -1)
        leading = given.shape[:-1]
        other = None if against is None else against._of_top(leading)
        steps = [_Step.of(self._of_top(leading), first, other, is_noise=is_noise)]
        state = self.decoder.top(as_input_of(self.decoder.top, steps[0].eps))
        levels = cast(Iterable[Level], self.decoder.levels)
        parts = zip(self.heads, self.features, levels, rest, strict=True)
        for below, (head, features, level, noise) in enumerate(parts):
            state = level.enter(state)
            own = self._of_level(head, state, features)
            if against is not None:
                other = self._of_level(head, state, against.features[below])
            steps.append(_Step.of(own, noise, other, is_noise=is_noise))
            state = level.take(state, steps[-1].eps)
        return _Way(steps, state, leading)

    def _of_level(self, head: nn.Module, state: Tensor, features: Tensor) -> _Moments:
        """Return mean and standard deviation of a level's noise, in the type of the top's."""
        mean, std = head(state, features)
        return mean.to(self.top), std.to(self.top)

    def _of_top(self, leading: torch.Size) -> _Moments:
        """Return mean and standard deviation of the top level for draws (..., B), each (R, T)."""
        mean, log_std = self.top.expand(*leading, -1).flatten(0, -2).chunk(2, -1)
        return mean, log_std.exp()

    @property
    def independent(self) -> DiagonalGaussian:
        """The mean and deviation of each level's ε where the levels above are at their means."""
        noise = self.top.new_zeros(1, len(self.top), sum(self.decoder.sizes))
        way = self._down(noise, is_noise=True)
        return DiagonalGaussian(way.joined("mean")[0], way.joined("std")[0].log())

    @property
    def mean(self) -> Tensor:
        """E_q[ε], (B, D), as the mean over draws of the means given the levels above.

        They are from the same noise for every row, so that a row does not depend on the others.
        """
        generator = torch.Generator(self.top.device).manual_seed(0)
        noise = self._noise(_MOMENT_DRAWS, 1, generator)
        parts = torch.arange(len(self.top), device=self.top.device).split(_MOMENT_ROWS)
        ways = (self._rows(p)._down(noise.expand(-1, len(p), -1), is_noise=True) for p in parts)
        return torch.cat([way.joined("mean").mean(0) for way in ways])

    def _rows(self, rows: Tensor) -> "LadderPosterior":
        """Return q of some rows."""
        features = tuple(part[rows] for part in self.features)
        return replace(self, top=self.top[rows], features=features)

    def sample(self, k: int, generator: torch.Generator) -> Tensor:
        """Draw k reparameterised ε for each row, (k, B, D)."""
        return self.draw(k, generator)[0]

    def draw(self, k: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw k values of ε for each row, (k, B, D), with their log q in nats, (k, B)."""
        return self.from_noise(self._noise(k, len(self.top), generator))

    def from_noise(self, eta: Tensor) -> tuple[Tensor, Tensor]:
        """Transform standard normal noise η (..., B, D) into ε, with log q(ε) in nats (..., B)."""
        way = self._down(eta, is_noise=True)
        return way.joined("eps"), way.stacked("log_q").sum(0)

    def log_prob(self, z: Tensor) -> Tensor:
        """Compute log q(ε) in nats, ε (..., B, D) → (..., B)."""
        return self._down(z, is_noise=False).stacked("log_q").sum(0)

    def at(self, eps: Tensor) -> Tensor:
        """Transform standard normal noise η into ε, (..., B, D) → (..., B, D)."""
        return self._down(eps, is_noise=True).joined("eps")

    def detached(self) -> "LadderPosterior":
        """Return the same density without gradients to its parameters.

        Those to the noise that the parameters of lower levels depend on remain: without them the
        gradient `dreg` is wrong (Bauer & Mnih, *Generalized Doubly Reparameterized Gradient
        Estimators*, 2021).
        """
        features = tuple(part.detach() for part in self.features)
        return LadderPosterior(
            self.top.detach(), features, _constant(self.heads), _constant(self.decoder)
        )


@dataclass(frozen=True)
class _Step:
    """A level on the way down, of R rows: `eps`, `mean` and `std` (R, d), the others (R,)."""

    eps: Tensor
    mean: Tensor
    std: Tensor
    log_q: Tensor
    kl: Tensor
    divergence: Tensor | None

    @classmethod
    def of(cls, own: _Moments, given: Tensor, other: _Moments | None, *, is_noise: bool) -> "_Step":
        """Take the noise of a level, whose density is compared with another one."""
        mean, std = own
        log_std = std.log()
        # ε = m + s η
        eta = given if is_noise else (given - mean) / std
        eps = mean + std * eta if is_noise else given
        # log q(ε) = −½ Σ_d [ η_d² + log 2π ] − Σ_d log s_d
        log_q = -(0.5 * (eta.square() + LOG_2PI) + log_std).sum(-1)
        # KL = ½ Σ_d [ m_d² + s_d² − 1 ] − Σ_d log s_d
        kl = (0.5 * (mean.square() + std.square() - 1) - log_std).sum(-1)
        return cls(eps, mean, std, log_q, kl, None if other is None else _kl(own, other))


def _kl(own: _Moments, other: _Moments) -> Tensor:
    """Compute KL(N(m, s²) ‖ N(m′, s′²)) of each of R rows in nats, (R,)."""
    q, r = (DiagonalGaussian(mean, std.log()) for mean, std in (own, other))
    return q.kl_to(r)


@dataclass(frozen=True)
class _Way:
    """The levels on a way down, the last state, and the shape (..., B) of the rows."""

    steps: list[_Step]
    state: Tensor
    leading: tuple[int, ...]

    def joined(self, name: str) -> Tensor:
        """Return a field of all levels side by side, (..., B, D)."""
        found = torch.cat([getattr(step, name) for step in self.steps], -1)
        return found.unflatten(0, self.leading)

    def stacked(self, name: str) -> Tensor:
        """Return a field of each level, (L, ..., B)."""
        found = torch.stack([getattr(step, name) for step in self.steps])
        return found.unflatten(1, self.leading)


@dataclass(frozen=True)
class LadderFamily:
    """A map from what the encoder of a ladder computes to q, by the way of the decoder.

    Attributes:
        heads: those of the encoder, whose weights they are.
    """

    heads: nn.ModuleList

    def __call__(self, decoder: TopDown, top: Tensor, *features: Tensor) -> LadderPosterior:
        """Return q of each row, from the parameters of the top level and the features."""
        return LadderPosterior(top, features, self.heads, decoder)


def _constant(module: _Part) -> _Part:
    """Return a copy of a module with the same weights, as constants."""
    assert isinstance(module, nn.Module)
    return deepcopy(module, {id(p): p.detach() for p in module.parameters()})
