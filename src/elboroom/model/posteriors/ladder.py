"""The posterior of a ladder: the noise of each level given those above, on the way down.

In the noise ε a ladder is a model of one level with p(ε) = N(0, I). Its posterior is
q(ε | x) = q(ε_L | x) Π_l q(ε_l | ε_>l, x), where each factor is a diagonal Gaussian. It is the
residual posterior of Vahdat & Kautz, *NVAE: A Deep Hierarchical Variational Autoencoder* (2020),
section 3.2, in units of the prior's standard deviation.
"""

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import Protocol, TypeVar, cast

import torch
from torch import Tensor, nn

from elboroom.model.normal import LOG_2PI
from elboroom.model.posteriors.density import Density, DiagonalGaussian
from elboroom.randomness import normals

_MOMENT_DRAWS = 16  # of the mean, which has no closed form
_Part = TypeVar("_Part")


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


@dataclass(frozen=True)
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
        shape = (k, len(self.top), sum(self.decoder.sizes))
        return self._down(normals(shape, self.top, generator), is_noise=True, against=against)

    def _down(
        self, given: Tensor, *, is_noise: bool, against: "LadderPosterior | None" = None
    ) -> Descent:
        """Walk down with the noise η that ε is computed from, or with ε itself, (K, B, D)."""
        # ε_l = m_l(ε_>l, x) + s_l(ε_>l, x) η_l
        leading = given.shape[:-1]
        first, *rest = given.flatten(0, 1).split(self.decoder.sizes, -1)
        mean, std = self._of_top(leading[0])
        steps = [_Step.of(mean, std, first, is_noise=is_noise)]
        apart = [] if against is None else [_kl(mean, std, *against._of_top(leading[0]))]
        state = self.decoder.top(steps[0].eps)
        levels = cast(Iterable[Level], self.decoder.levels)
        parts = zip(self.heads, self.features, levels, rest, strict=True)
        for below, (head, features, level, noise) in enumerate(parts):
            state = level.enter(state)
            mean, std = head(state, features)
            steps.append(_Step.of(mean, std, noise, is_noise=is_noise))
            if against is not None:
                apart.append(_kl(mean, std, *head(state, against.features[below])))
            state = level.take(state, steps[-1].eps)
        return Descent(
            z=torch.cat([step.eps for step in steps], -1).unflatten(0, leading),
            log_q=torch.stack([step.log_q for step in steps]).unflatten(1, leading),
            kl=torch.stack([step.kl for step in steps]).unflatten(1, leading),
            mean=torch.cat([step.mean for step in steps], -1).unflatten(0, leading),
            parameter=self.decoder.output(state, leading),
            divergence=torch.stack(apart).unflatten(1, leading) if apart else None,
        )

    def _of_top(self, k: int) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of the top level for k draws, each (k B, T)."""
        mean, log_std = self.top.repeat(k, 1).chunk(2, -1)
        return mean, log_std.exp()

    @property
    def mean(self) -> Tensor:
        """E_q[ε], (B, D), as the mean over fixed draws of the means given the levels above."""
        noise = torch.Generator(self.top.device).manual_seed(0)
        return self.descend(_MOMENT_DRAWS, noise).mean.mean(0)

    def sample(self, k: int, generator: torch.Generator) -> Tensor:
        """Draw k reparameterised ε for each row, (k, B, D)."""
        return self.descend(k, generator).z

    def draw(self, k: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw k values of ε for each row, (k, B, D), with their log q in nats, (k, B)."""
        found = self.descend(k, generator)
        return found.z, found.log_q.sum(0)

    def log_prob(self, z: Tensor) -> Tensor:
        """Compute log q(ε) in nats, ε (..., B, D) → (..., B)."""
        given = z.reshape(-1, *z.shape[-2:])
        return self._down(given, is_noise=False).log_q.sum(0).view(z.shape[:-1])

    def at(self, eps: Tensor) -> Tensor:
        """Transform standard normal noise η into ε, (..., B, D) → (..., B, D)."""
        given = eps.reshape(-1, *eps.shape[-2:])
        return self._down(given, is_noise=True).z.view(eps.shape)

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
    """A level on the way down, of R rows: `eps` and `mean` (R, d), `log_q` and `kl` (R,)."""

    eps: Tensor
    mean: Tensor
    log_q: Tensor
    kl: Tensor

    @classmethod
    def of(cls, mean: Tensor, std: Tensor, given: Tensor, *, is_noise: bool) -> "_Step":
        log_std = std.log()
        # ε = m + s η
        eta = given if is_noise else (given - mean) / std
        eps = mean + std * eta if is_noise else given
        # log q(ε) = −½ Σ_d [ η_d² + log 2π ] − Σ_d log s_d
        log_q = -(0.5 * (eta.square() + LOG_2PI) + log_std).sum(-1)
        # KL = ½ Σ_d [ m_d² + s_d² − 1 ] − Σ_d log s_d
        kl = (0.5 * (mean.square() + std.square() - 1) - log_std).sum(-1)
        return cls(eps, mean, log_q, kl)


def _kl(mean: Tensor, std: Tensor, other_mean: Tensor, other_std: Tensor) -> Tensor:
    """Compute KL(N(mean, std²) ‖ N(other_mean, other_std²)) of each of R rows in nats, (R,)."""
    q, r = DiagonalGaussian(mean, std.log()), DiagonalGaussian(other_mean, other_std.log())
    return q.kl_to(r)


def _constant(module: _Part) -> _Part:
    """Return a copy of a module with the same weights, as constants."""
    assert isinstance(module, nn.Module)
    return deepcopy(module, {id(p): p.detach() for p in module.parameters()})
