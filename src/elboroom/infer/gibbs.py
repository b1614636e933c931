"""Gibbs samplers of p(z, x_unseen | x_seen) in which the encoder proposes z."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.errors import require_not_negative, require_positive
from elboroom.infer.chains.posterior import CHAINS, ChainPosterior
from elboroom.infer.observed import Array, Observed
from elboroom.infer.target import Target
from elboroom.model.arguments import checked
from elboroom.model.decoding import decoded_at_a_time
from elboroom.model.posteriors import Density
from elboroom.model.vae import VAE
from elboroom.randomness import normals, uniforms

_SWEEPS, _BURN_IN = 500, 100


@checked
def pseudo_gibbs(
    model: VAE,
    x: Array,
    mask: Array | None = None,
    *,
    generator: torch.Generator,
    chains: int = CHAINS,
    sweeps: int = _SWEEPS,
    burn_in: int = _BURN_IN,
) -> ChainPosterior:
    """Alternate z ~ q(z | x_seen, x_unseen) and x_unseen ~ p(x_unseen | z).

    Rezende, Mohamed & Wierstra, *Stochastic Backpropagation* (2014), appendix F. The chains accept
    every draw of the encoder, so they converge to the posterior only where the encoder's q is
    exact; `infer.metropolis_within_gibbs` corrects that. Unseen pixels start as draws of the prior
    predictive, different in each chain. All rows share the same noise, so that none depends on the
    others in its batch.

    Args:
        model: the model, whose encoder is applied to whole images.
        x: (B, *event), numbers of any type.
        mask: True where a pixel is seen, like `x` or broadcast to it; None for all.
        generator: random generator of the chains and of the result's draws.
        chains: C, the number of chains of each row.
        sweeps: T, the number of sweeps that are kept.
        burn_in: the number of sweeps before them that are discarded.

    Raises:
        UsageError: if data or mask do not fit the model, or a count is not
            positive.

    Example:
        >>> chains = infer.pseudo_gibbs(model, x, mask, generator=generator, sweeps=50)
        >>> chains.draws.shape  # sweeps, chains, rows, latents
        torch.Size([50, 4, 3, 2])
        >>> infer.complete(model, x, mask, chains, draws=5, generator=generator).draws.shape
        torch.Size([5, 3, 1, 28, 28])
    """
    require_positive(chains=chains, sweeps=sweeps)
    require_not_negative(burn_in=burn_in)
    target = Target.of(model, x, mask)
    target.require_room(sweeps, chains, sweeps=sweeps, chains=chains)
    draws, _ = _walk(_Images.of(model, target.given), generator, _redraw, chains, sweeps, burn_in)
    return ChainPosterior(target, draws, None, generator)


@checked
def metropolis_within_gibbs(
    model: VAE,
    x: Array,
    mask: Array | None = None,
    *,
    generator: torch.Generator,
    chains: int = CHAINS,
    sweeps: int = _SWEEPS,
    burn_in: int = _BURN_IN,
) -> ChainPosterior:
    """Run pseudo-Gibbs whose z is only a proposal, so that chains converge to the posterior.

    Mattei & Frellsen, *Leveraging the exact likelihood of deep latent variable models* (2018),
    algorithm 1: z′ ~ q(z | x_seen, x_unseen) is accepted or rejected by Metropolis–Hastings, then
    x_unseen ~ p(x_unseen | z). As they advise, chains start with pseudo-Gibbs, here for half the
    burn-in: where q is narrow, a chain that starts outside it would never move. Unseen pixels start
    as draws of the prior predictive, different in each chain. All rows share the same noise, so
    that none depends on the others in its batch.

    Args:
        model: the model, whose encoder is applied to whole images.
        x: (B, *event), numbers of any type.
        mask: True where a pixel is seen, like `x` or broadcast to it; None for all.
        generator: random generator of the chains and of the result's draws.
        chains: C, the number of chains of each row.
        sweeps: T, the number of sweeps that are kept.
        burn_in: the number of sweeps before them that are discarded.

    Raises:
        UsageError: if data or mask do not fit the model, or a count is not
            positive.

    Example:
        >>> chains = infer.metropolis_within_gibbs(model, x, mask, generator=generator, sweeps=50)
        >>> chains.draws.shape  # sweeps, chains, rows, latents
        torch.Size([50, 4, 3, 2])
        >>> chains.acceptance < 1  # pseudo-Gibbs accepts every draw
        tensor([True, True, True])
    """
    require_positive(chains=chains, sweeps=sweeps)
    require_not_negative(burn_in=burn_in)
    target = Target.of(model, x, mask)
    target.require_room(sweeps, chains, sweeps=sweeps, chains=chains)
    images = _Images.of(model, target.given)
    draws, accepted = _walk(images, generator, _propose, chains, sweeps, burn_in)
    stats = {"accepted": accepted.bool()}
    return ChainPosterior(target, draws, accepted.mean((0, 1)), generator, stats=stats)


@dataclass(frozen=True)
class _Images:
    """The model, and the seen pixels of each row: x and mask (B, *event)."""

    model: VAE
    x: Tensor
    mask: Tensor

    @classmethod
    def of(cls, model: VAE, given: Observed) -> "_Images":
        x, mask = given.data
        seen = torch.ones_like(x, dtype=torch.bool) if mask is None else mask
        return cls(model.fixed(), x, seen)

    def rows(self, index: Tensor) -> "_Images":
        return _Images(self.model, self.x[index], self.mask[index])

    def start(self, chains: int, generator: torch.Generator) -> "_Walkers":
        """Draw z and its image for each chain; unseen pixels are the same in all rows."""
        z = self.model.prior(1).sample(chains, generator).expand(-1, len(self.x), -1)
        return self.completed(
            z, self.model.decoder_output(z), torch.ones_like(z[..., 0]), generator
        )

    def completed(
        self, z: Tensor, parameter: Tensor, accepted: Tensor, generator: torch.Generator
    ) -> "_Walkers":
        """Return walkers at z, their unseen pixels drawn from p(x_unseen | z, x_seen)."""

        def invent(parameter: Tensor, x: Tensor, mask: Tensor) -> Tensor:
            return self.model.likelihood(parameter).given(x[None], mask[None]).sample(generator)

        # Mapping over rows draws all of them with the same noise.
        each_row = torch.vmap(invent, in_dims=(1, 0, 0), out_dims=1, randomness="same")
        invented = each_row(parameter, self.x, self.mask)
        return _Walkers(torch.where(self.mask, self.x, invented), z, parameter, accepted)

    def encode(self, x: Tensor) -> "_Encoded":
        """Return q(z | x) of every walker, x (C, B, *event)."""
        return _Encoded(self.model.posterior(x.flatten(0, 1)), x.shape[:2])

    def log_joint(self, x: Tensor, z: Tensor, parameter: Tensor) -> Tensor:
        """Compute log p(x, z) of whole images in nats, (C, B); `parameter` is that of p(x | z)."""
        log_likelihood = self.model.likelihood(parameter.flatten(0, 1)).log_prob(x.flatten(0, 1))
        return self.model.prior(1).log_prob(z) + log_likelihood.unflatten(0, x.shape[:2])


@dataclass(frozen=True)
class _Encoded:
    """The encoder's q of C × B images, flattened to one axis; `shape` is (C, B)."""

    q: Density
    shape: torch.Size

    def draw(self, now: Tensor, generator: torch.Generator) -> Tensor:
        """Draw z for walkers at `now` (C, B, D); the noise of a chain is the same in all rows."""
        eps = normals(now[:, :1].shape, now, generator)
        return self.q.at(eps.expand_as(now).flatten(0, 1)).unflatten(0, self.shape)

    def log_prob(self, z: Tensor) -> Tensor:
        """Compute log q(z) in nats, (C, B, D) → (C, B)."""
        return self.q.log_prob(z.flatten(0, 1)).unflatten(0, self.shape)


@dataclass(frozen=True)
class _Walkers:
    """The state of C chains of B rows.

    Attributes:
        x: (C, B, *event), with the data's values at seen pixels.
        z: (C, B, D).
        parameter: (C, B, *event), the parameter of p(x | z).
        accepted: (C, B), 1 where the last proposal was accepted, else 0.
    """

    x: Tensor
    z: Tensor
    parameter: Tensor
    accepted: Tensor


_Sweep = Callable[[_Images, _Walkers, torch.Generator], _Walkers]


def _redraw(images: _Images, now: _Walkers, generator: torch.Generator) -> _Walkers:
    """Make one sweep of pseudo-Gibbs."""
    z = images.encode(now.x).draw(now.z, generator)
    return images.completed(z, images.model.decoder_output(z), now.accepted, generator)


def _propose(images: _Images, now: _Walkers, generator: torch.Generator) -> _Walkers:
    """Make one sweep of Metropolis-within-Gibbs."""
    q = images.encode(now.x)
    z = q.draw(now.z, generator)
    parameter = images.model.decoder_output(z)
    # log ρ = log p(x, z′) − log q(z′ | x) − [ log p(x, z) − log q(z | x) ]
    proposed = images.log_joint(now.x, z, parameter) - q.log_prob(z)
    log_ratio = proposed - images.log_joint(now.x, now.z, now.parameter) + q.log_prob(now.z)
    accept = uniforms((len(z), 1), z, generator).log() < log_ratio
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
    """Run the chains; return the kept z (T, C, B, D) and the accepted proposals (T, C, B)."""
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
