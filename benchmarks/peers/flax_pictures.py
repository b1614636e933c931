"""elboroom's networks for pictures, trained by flax and optax, a compiled step after another.

On a processor XLA computes convolutions within a scan many times as slowly.

python flax_pictures.py PICTURES.npz RESULT.npz
"""

import json
import sys
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax_networks import ConvVAE, LadderVAE, Level
from jax import Array, random
from problem import RATE, Laps, write_result

_COMPONENTS = 10
_ENTRIES = _COMPONENTS * (1 + 2 * 3)  # weights, and locations and scales of three channels


def main(path: str, result: str) -> None:
    """Train, and write when each epoch began and ended."""
    given = dict(np.load(path))
    network, log_likelihood = _network(json.loads(str(given["network"])))
    x = jnp.asarray(given["x"]).transpose(0, 2, 3, 1)  # bytes
    batch, optimiser = int(given["batch"]), optax.adam(RATE)

    def loss(params: Any, x: Array, key: Array) -> Array:
        of_data, of_latents = random.split(key)
        values = _values(x, of_data)
        kl, parameter = network.apply(params, values, of_latents)
        return (kl - log_likelihood(values, parameter)).mean()

    @jax.jit
    def step(state: tuple[Any, Any], rows: Array, key: Array) -> tuple[Any, Any]:
        params, moments = state
        gradients = jax.grad(loss)(params, x[rows], key)
        updates, moments = optimiser.update(gradients, moments)
        return optax.apply_updates(params, updates), moments

    key, laps = random.PRNGKey(int(given["seed"])), Laps()
    params = network.init(key, _values(x[:batch], key), key)
    state = params, optimiser.init(params)
    for e in range(int(given["epochs"])):
        laps.begin()
        order = random.permutation(random.fold_in(key, e), len(x))
        for i, rows in enumerate(order[: len(x) // batch * batch].reshape(-1, batch)):
            state = step(state, rows, random.fold_in(key, e * len(x) + i))
        jax.block_until_ready(state)
        laps.end()
    write_result(result, laps, [], [])


def _network(given: dict[str, Any]) -> tuple[nn.Module, Any]:
    """Return the network that `benchmarks.runners.pictures` describes, and its likelihood."""
    if given["kind"] == "ladder":
        resolutions = tuple(Level(*each) for each in given["resolutions"])
        return LadderVAE(resolutions, given["latents"]), _bernoulli
    return ConvVAE(tuple(given["channels"]), given["latents"], _ENTRIES), _logistic_mixture


def _values(x: Array, key: Array) -> Array:
    """Return levels between 0 and 1; those of grey pictures become binary at random."""
    values = x / 255.0
    if x.shape[-1] == 1:
        return (random.uniform(key, x.shape) < values).astype(jnp.float32)
    return values


def _bernoulli(x: Array, logits: Array) -> Array:
    return (x * logits - nn.softplus(logits)).sum((1, 2, 3))


def _logistic_mixture(x: Array, parameter: Array) -> Array:
    """Compute log p(x | z) in nats of 256 levels, (B,): Salimans et al. (2017), section 2.1."""
    logits, rest = jnp.split(parameter, [_COMPONENTS], -1)
    locations, raw = jnp.split(rest.reshape(*x.shape[:3], _COMPONENTS, 6), 2, -1)
    scales, apart = 0.001 + 0.1 * nn.softplus(raw), x[..., None, :] - 0.5 - 0.5 * locations
    half = 0.5 / 255
    upper, lower = (apart + half) / scales, (apart - half) / scales
    # log [σ(a) − σ(b)] = a − softplus(a) − softplus(b) + log(1 − e^{b − a})
    between = upper - nn.softplus(upper) - nn.softplus(lower) + jnp.log(-jnp.expm1(lower - upper))
    black, white = -nn.softplus(-upper), -nn.softplus(lower)
    wide = x[..., None, :]
    log_mass = jnp.where(wide < half, black, jnp.where(wide > 1 - half, white, between))
    joint = nn.log_softmax(logits) + log_mass.sum(-1)
    return nn.logsumexp(joint, -1).sum((1, 2))


if __name__ == "__main__":
    main(*sys.argv[1:])
