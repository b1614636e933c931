"""Gibbs samplers of p(z, x_unseen | x_seen), to which the encoder proposes z."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.errors import require_positive
from elboroom.infer.chains.posterior import ChainPosterior
from elboroom.infer.observed import check_data_and_mask
from elboroom.infer.target import Target
from elboroom.model.decoding import decoded_at_a_time
from elboroom.model.posteriors import Density
from elboroom.model.vae import VAE


def pseudo_gibbs(
    model: VAE,
    x: Tensor,
    mask: Tensor | None = None,
    *,
    generator: torch.Generator,
    chains: int = 4,
    sweeps: int = 500,
    burn_in: int = 100,
) -> ChainPosterior:
    """Alternate z ~ q(z | x_seen, x_unseen) and x_unseen ~ p(x_unseen | z).

    Rezende, Mohamed & Wierstra, *Stochastic Backpropagation* (2014), appendix F. The chains take
    the encoder at its word, so they settle on the posterior only where the encoder's q is exact;
    `infer.metropolis_within_gibbs` corrects that. Unseen pixels start as draws of the prior
    predictive, in each chain its own. All rows walk with the same noise, so that none depends on
    its company.

    Args:
        model: its encoder is asked for whole images.
        x: (B, *event).
        mask: True where a pixel is seen, like `x` or broadcast to it; None for all.
        generator: feeds the walk, and the draws of the result.
        chains: C, of each row.
        sweeps: T, that are kept.
        burn_in: sweeps before them, that are not.

    Raises:
        UsageError: the mask does not fit, a seen value is not finite, or a count is not positive.
    """
    require_positive(chains=chains, sweeps=sweeps)
    target = Target.of(model, x, mask)
    draws, _ = _walk(_Images.of(model, x, mask), generator, _redraw, chains, sweeps, burn_in)
    return ChainPosterior(target, draws, None, generator)


def metropolis_within_gibbs(
    model: VAE,
    x: Tensor,
    mask: Tensor | None = None,
    *,
    generator: torch.Generator,
    chains: int = 4,
    sweeps: int = 500,
    burn_in: int = 100,
) -> ChainPosterior:
    """Pseudo-Gibbs whose z is only a proposal: its chains settle on the posterior itself.

    Mattei & Frellsen, *Leveraging the exact likelihood of deep latent variable models* (2018),
    algorithm 1: z′ ~ q(z | x_seen, x_unseen) is accepted or not by Metropolis and Hastings, then
    x_unseen ~ p(x_unseen | z). As they advise, the walk begins as pseudo-Gibbs, here for half the
    burn-in: where q is narrow, a chain that started outside it would never leave. The first unseen
    pixels are draws of the prior predictive, in each chain its own. All rows walk with the same
    noise, so that none depends on its company.

    Args:
        model: its encoder is asked for whole images.
        x: (B, *event).
        mask: True where a pixel is seen, like `x` or broadcast to it; None for all.
        generator: feeds the walk, and the draws of the result.
        chains: C, of each row.
        sweeps: T, that are kept.
        burn_in: sweeps before them, that are not.

    Raises:
        UsageError: the mask does not fit, a seen value is not finite, or a count is not positive.
    """
    require_positive(chains=chains, sweeps=sweeps)
    target = Target.of(model, x, mask)
    images = _Images.of(model, x, mask)
    draws, accepted = _walk(images, generator, _propose, chains, sweeps, burn_in)
    return ChainPosterior(target, draws, accepted.mean((0, 1)), generator)


@dataclass(frozen=True)
class _Images:
    """What the walkers share: the model, and what is seen of each row, x and mask (B, *event)."""

    model: VAE
    x: Tensor
    mask: Tensor

    @classmethod
    def of(cls, model: VAE, x: Tensor, mask: Tensor | None) -> "_Images":
        x, mask = check_data_and_mask(x, mask)
        seen = torch.ones_like(x, dtype=torch.bool) if mask is None else mask
        return cls(model.fixed(), x, seen)

    def rows(self, index: Tensor) -> "_Images":
        return _Images(self.model, self.x[index], self.mask[index])

    def start(self, chains: int, generator: torch.Generator) -> "_Walkers":
        """Of each chain a draw of the prior and of its image, all rows alike but where seen."""
        z = self.model.prior(1).sample(chains, generator).expand(-1, len(self.x), -1)
        return self.completed(
            z, self.model.decoder_output(z), torch.ones_like(z[..., 0]), generator
        )

    def completed(
        self, z: Tensor, parameter: Tensor, accepted: Tensor, generator: torch.Generator
    ) -> "_Walkers":
        """The walkers at z, their unseen pixels drawn from p(x_unseen | z)."""

        def invent(parameter: Tensor) -> Tensor:
            return self.model.likelihood(parameter).sample(generator)

        # mapped over rows, so that all of them are drawn with the same noise
        invented = torch.vmap(invent, in_dims=1, out_dims=1, randomness="same")(parameter)
        return _Walkers(torch.where(self.mask, self.x, invented), z, parameter, accepted)

    def encode(self, x: Tensor) -> "_Encoded":
        """q(z | x) of every walker, x (C, B, *event)."""
        return _Encoded(self.model.posterior(x.flatten(0, 1)), x.shape[:2])

    def log_joint(self, x: Tensor, z: Tensor, parameter: Tensor) -> Tensor:
        """log p(x, z) of whole images in nats, (C, B), p(x | z) having this parameter."""
        log_likelihood = self.model.likelihood(parameter.flatten(0, 1)).log_prob(x.flatten(0, 1))
        return self.model.prior(1).log_prob(z) + log_likelihood.unflatten(0, x.shape[:2])


@dataclass(frozen=True)
class _Encoded:
    """The encoder's answers to C × B images, one after the other; `shape` is (C, B)."""

    q: Density
    shape: torch.Size

    def draw(self, now: Tensor, generator: torch.Generator) -> Tensor:
        """z of walkers at `now` (C, B, D), the noise of a chain the same in all rows, (C, B, D)."""
        shape = now[:, :1].shape
        eps = torch.randn(shape, generator=generator, dtype=now.dtype, device=now.device)
        return self.q.at(eps.expand_as(now).flatten(0, 1)).unflatten(0, self.shape)

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z) in nats, (C, B, D) → (C, B)."""
        return self.q.log_prob(z.flatten(0, 1)).unflatten(0, self.shape)


@dataclass(frozen=True)
class _Walkers:
    """Where C chains of B rows are.

    Attributes:
        x: (C, B, *event), seen pixels the data's.
        z: (C, B, D).
        parameter: (C, B, *event), of p(x | z).
        accepted: (C, B), 1 where the last proposal was, else 0.
    """

    x: Tensor
    z: Tensor
    parameter: Tensor
    accepted: Tensor


_Sweep = Callable[[_Images, _Walkers, torch.Generator], _Walkers]


def _redraw(images: _Images, now: _Walkers, generator: torch.Generator) -> _Walkers:
    """One sweep of pseudo-Gibbs."""
    z = images.encode(now.x).draw(now.z, generator)
    return images.completed(z, images.model.decoder_output(z), now.accepted, generator)


def _propose(images: _Images, now: _Walkers, generator: torch.Generator) -> _Walkers:
    """One sweep of Metropolis-within-Gibbs."""
    q = images.encode(now.x)
    z = q.draw(now.z, generator)
    parameter = images.model.decoder_output(z)
    # log ρ = log p(x, z′) − log q(z′ | x) − [ log p(x, z) − log q(z | x) ]
    proposed = images.log_joint(now.x, z, parameter) - q.log_prob(z)
    log_ratio = proposed - images.log_joint(now.x, now.z, now.parameter) + q.log_prob(now.z)
    u = torch.rand((len(z), 1), generator=generator, dtype=z.dtype, device=z.device)
    accept = u.log() < log_ratio
    z = torch.where(accept[..., None], z, now.z)
    wide = accept.view(accept.shape + (1,) * (parameter.ndim - 2))
    parameter = torch.where(wide, parameter, now.parameter)
    return images.completed(z, parameter, accept.to(z.dtype), generator)


@torch.no_grad()
def _walk(
    images: _Images,
    generator: torch.Generator,
    sweep: _Sweep,
    chains: int,
    sweeps: int,
    burn_in: int,
) -> tuple[Tensor, Tensor]:
    """What is kept of z, (T, C, B, D), and which proposals were accepted, (T, C, B)."""
    noise = generator.get_state()
    parts = []
    rows = torch.arange(len(images.x), device=images.x.device)
    walkers = decoded_at_a_time(images.model, images.x)
    for index in rows.split(max(1, walkers // chains)):
        generator.set_state(noise)
        parts.append(_walk_rows(images.rows(index), generator, sweep, chains, sweeps, burn_in))
    draws, accepted = zip(*parts, strict=True)
    return torch.cat(draws, 2), torch.cat(accepted, 2)


def _walk_rows(
    images: _Images,
    generator: torch.Generator,
    sweep: _Sweep,
    chains: int,
    sweeps: int,
    burn_in: int,
) -> tuple[Tensor, Tensor]:
    walkers = images.start(chains, generator)
    draws, accepted = [], []
    for i in range(burn_in + sweeps):
        advance = _redraw if i < burn_in // 2 else sweep
        walkers = advance(images, walkers, generator)
        if i >= burn_in:
            draws.append(walkers.z)
            accepted.append(walkers.accepted)
    return torch.stack(draws), torch.stack(accepted)
