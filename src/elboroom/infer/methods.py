"""The methods of inference, by the names that commands give them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from elboroom.config import MethodName
from elboroom.infer.encoder import amortised
from elboroom.infer.gibbs import metropolis_within_gibbs, pseudo_gibbs
from elboroom.infer.grid import grid
from elboroom.infer.hmc import OnStep, hmc
from elboroom.infer.laplace import laplace
from elboroom.infer.posterior import Posterior, VariationalPosterior
from elboroom.infer.sir import ParticlePosterior, sir, widening_for_half_ess
from elboroom.infer.svi import svi
from elboroom.model.vae import VAE
from elboroom.randomness import fork

_LENGTH = 1_000
_RANK = 5
_LENGTH_OF: dict[MethodName, str] = {
    "hmc": "draws",
    "pseudo-gibbs": "sweeps",
    "metropolis-within-gibbs": "sweeps",
}


def infer(
    name: MethodName,
    model: VAE,
    x: Tensor,
    mask: Tensor | None = None,
    *,
    generator: torch.Generator,
    draws: int = 1,
    on_step: OnStep = lambda step, total: None,
) -> Posterior:
    """p(z | x_seen) of every row by the method `name`.

    Args:
        name: of the method.
        model: whose posterior it is.
        x: (B, *event).
        mask: True where a pixel is seen, like `x` or broadcast to it; None for all.
        generator: feeds the method, and the draws of its result.
        draws: that will be wanted of each chain, where the method walks; a chain keeps no fewer,
            nor fewer than 1,000.
        on_step: called after each step with its number and the total; most methods are one step.

    Raises:
        UsageError: the mask does not fit, a seen value is not finite, or the method is not for
            this model.
    """
    words: dict[str, Any] = {"on_step": on_step} if name == "hmc" else {}
    if name in _LENGTH_OF:
        words[_LENGTH_OF[name]] = max(draws, _LENGTH)
    posterior = _CALLS[name](model, x, mask, generator=generator, **words)
    if name != "hmc":
        on_step(1, 1)
    return posterior


def infer_each(
    names: tuple[MethodName, ...],
    model: VAE,
    x: Tensor,
    mask: Tensor | None = None,
    *,
    generator: torch.Generator,
) -> dict[MethodName, Posterior]:
    """The same by several methods, none of whose answers depends on which others are asked for."""
    noise = fork(generator)
    return {name: infer(name, model, x, mask, generator=noise.clone_state()) for name in names}


def sir_from_modes(
    model: VAE,
    x: Tensor,
    mask: Tensor | None = None,
    *,
    generator: torch.Generator,
    particles: int = 1_000,
) -> ParticlePosterior:
    """`infer.sir` from a mixture of the modes, widened until its tails hold the posterior's."""
    proposal = laplace(model, x, mask, generator=generator, mixture=True)
    options = {"particles": particles, "widen": widening_for_half_ess(model.latents)}
    return sir(model, x, mask, generator=generator, proposal=proposal, **options)


def images_at_a_time(name: MethodName) -> int:
    """How many rows are inferred together, so that their draws fit in memory."""
    return 100 if name in _LENGTH_OF else 1_000


def evidence_of(posterior: Posterior) -> tuple[str, Tensor] | None:
    """What the posterior knows of log p(x_seen), in nats, (B,).

    It is called `elbo` or `log_evidence`; None of a method that only draws.
    """
    for name in ("elbo", "log_evidence"):
        if hasattr(posterior, name):
            return name, getattr(posterior, name)
    return None


def draws_of(posterior: Posterior, k: int) -> Tensor:
    """k draws of each chain, evenly spaced; of a method without chains as of one, (C, k, B, D)."""
    chains: Tensor | None = getattr(posterior, "draws", None)
    if chains is None:
        return posterior.sample(k)[None]
    which = torch.linspace(0, len(chains) - 1, k, device=chains.device).round().long()
    return chains[which].transpose(0, 1)


def _low_rank(
    model: VAE, x: Tensor, mask: Tensor | None, *, generator: torch.Generator
) -> VariationalPosterior:
    rank = min(_RANK, model.latents)
    return svi(model, x, mask, generator=generator, family="low-rank", rank=rank)


_CALLS: dict[MethodName, Callable[..., Posterior]] = {
    "encoder": amortised,
    "svi": svi,
    "svi-full": partial(svi, family="full"),
    "svi-low-rank": _low_rank,
    "svi-mixture": partial(svi, family="mixture"),
    "svi-flow": partial(svi, family="flow"),
    "laplace": laplace,
    "sir": sir_from_modes,
    "hmc": hmc,
    "pseudo-gibbs": pseudo_gibbs,
    "metropolis-within-gibbs": metropolis_within_gibbs,
    "grid": grid,
}
