"""The registry of inference methods, by the names that commands give them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from elboroom.config import MethodName
from elboroom.infer.chains.posterior import CHAINS
from elboroom.infer.encoder import encoder
from elboroom.infer.gibbs import metropolis_within_gibbs, pseudo_gibbs
from elboroom.infer.grid import grid
from elboroom.infer.hmc import hmc
from elboroom.infer.laplace import laplace
from elboroom.infer.observed import Array
from elboroom.infer.partial_encoder import partial_encoder
from elboroom.infer.posterior import Posterior, VariationalPosterior
from elboroom.infer.sir import PARTICLES, ParticlePosterior, sir, widening_for_half_ess
from elboroom.infer.svi import svi
from elboroom.infer.told_steps import OnStep
from elboroom.model.posteriors import MOST_DENSE
from elboroom.model.vae import VAE
from elboroom.randomness import fork

_CHAIN_LENGTH = 1_000
_RANK = 5
_PRIOR_SHARE = 0.1


def sir_from_modes(
    model: VAE,
    x: Array,
    mask: Array | None = None,
    *,
    generator: torch.Generator,
    particles: int = PARTICLES,
) -> ParticlePosterior:
    """Run `infer.sir` with a widened mixture of the modes as its proposal.

    The widening makes the proposal's tails heavier than the posterior's. A tenth of the particles
    are the prior's: they find the modes that the fit misses in rows of which little is seen.
    """
    proposal = laplace(model, x, mask, generator=generator, mixture=True)
    return sir(
        model,
        x,
        mask,
        generator=generator,
        proposal=proposal,
        particles=particles,
        widen=widening_for_half_ess(proposal.q),
        prior_share=_PRIOR_SHARE,
    )


def _svi_low_rank(
    model: VAE, x: Array, mask: Array | None, *, generator: torch.Generator
) -> VariationalPosterior:
    rank = min(_RANK, model.latents)
    return svi(model, x, mask, generator=generator, family="low-rank", rank=rank)


@dataclass(frozen=True)
class Method:
    """A row of the registry.

    Attributes:
        call: the method, (model, x, mask, *, generator) → the posterior.
        length: the option of `call` that sets how many draws each chain keeps; None without chains.
        most_rows: rows to infer together, so that their draws fit in memory, with 300 latents.
        reports_steps: True if `call` takes `on_step`; any other method counts as one step.
    """

    call: Callable[..., Posterior]
    length: str | None = None
    most_rows: int = 1_000
    reports_steps: bool = False

    @property
    def chains(self) -> int:
        """The number of chains of a row; 1 for a method without chains."""
        return 1 if self.length is None else CHAINS

    def rows_at_a_time(self, model: VAE) -> int:
        """Return the rows to infer together: fewer beyond 300 latents, whose draws are longer."""
        return max(1, self.most_rows * MOST_DENSE // max(MOST_DENSE, model.latents))


_gibbs = partial(Method, length="sweeps", most_rows=100)

REGISTRY: dict[MethodName, Method] = {
    "encoder": Method(encoder),
    "partial-encoder": Method(partial_encoder),
    "svi": Method(svi),
    "svi-full": Method(partial(svi, family="full")),
    "svi-low-rank": Method(_svi_low_rank),
    "svi-mixture": Method(partial(svi, family="mixture")),
    "svi-flow": Method(partial(svi, family="flow")),
    "laplace": Method(laplace),
    "sir": Method(sir_from_modes),
    "sir-encoder": Method(sir),
    "hmc": Method(hmc, length="draws", most_rows=100, reports_steps=True),
    "pseudo-gibbs": _gibbs(pseudo_gibbs),
    "metropolis-within-gibbs": _gibbs(metropolis_within_gibbs),
    "grid": Method(grid),
}


def infer(
    name: MethodName,
    model: VAE,
    x: Array,
    mask: Array | None = None,
    *,
    generator: torch.Generator,
    draws: int = 1,
    on_step: OnStep = lambda step, total: None,
) -> Posterior:
    """Infer p(z | x_seen) of every row by the method `name`.

    Args:
        name: the method.
        model: the model, whose decoder is used.
        x: (B, *event), numbers of any type.
        mask: True where a pixel is seen, like `x` or broadcast to it; None for all.
        generator: random generator of the method and of the result's draws.
        draws: how many draws of each chain the caller needs; a chain keeps at least 1,000.
        on_step: called after each step with its number and the total; most methods are one step.

    Raises:
        UsageError: if data or mask do not fit the model, or the method does not
            support this model.
    """
    method = REGISTRY[name]
    options: dict[str, Any] = {"on_step": on_step} if method.reports_steps else {}
    if method.length is not None:
        options[method.length] = max(draws, _CHAIN_LENGTH)
    posterior = method.call(model, x, mask, generator=generator, **options)
    if not method.reports_steps:
        on_step(1, 1)
    return posterior


def infer_each(
    names: tuple[MethodName, ...],
    model: VAE,
    x: Array,
    mask: Array | None = None,
    *,
    generator: torch.Generator,
) -> dict[MethodName, Posterior]:
    """Infer by several methods; the result of each is independent of which others are named."""
    noise = fork(generator)
    return {name: infer(name, model, x, mask, generator=noise.clone_state()) for name in names}
