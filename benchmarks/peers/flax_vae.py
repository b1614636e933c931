"""A VAE in flax and optax, as their examples train one: an epoch is one compiled scan.

python flax_vae.py PROBLEM.npz RESULT.npz
"""

import sys
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax, random
from problem import RATE, Laps, Layers, Problem, write_result

_ACTIVATIONS = {"softplus": jax.nn.softplus, "tanh": jnp.tanh}


class Network(nn.Module):
    """Dense layers, with an activation between them."""

    widths: tuple[int, ...]
    activation: str

    @nn.compact
    def __call__(self, h: Array) -> Array:
        """Compute the output of the last layer, (..., width)."""
        for width in self.widths[:-1]:
            h = _ACTIVATIONS[self.activation](nn.Dense(width)(h))
        return nn.Dense(self.widths[-1])(h)


def main(path: str, result: str) -> None:
    """Train, and write what came of it."""
    problem = Problem.read(path)
    networks = {
        name: Network(tuple(len(bias) for _, bias in layers), problem.activation)
        for name, layers in (("encoder", problem.encoder), ("decoder", problem.decoder))
    }
    params = {"encoder": _params(problem.encoder), "decoder": _params(problem.decoder)}
    optimiser, x = optax.adam(RATE), jnp.asarray(problem.x, jnp.float32)

    def loss(params: Any, x: Array, key: Array) -> Array:
        mean, log_std = jnp.split(networks["encoder"].apply(params["encoder"], x), 2, -1)
        eps = random.normal(key, (problem.particles, *mean.shape))
        z = mean + jnp.exp(log_std) * eps
        logits = networks["decoder"].apply(params["decoder"], z)
        return -_bound(x, logits, mean, log_std, eps, z).mean()

    @jax.jit
    def epoch(state: tuple[Any, Any], key: Array) -> tuple[Any, Any]:
        of_order, of_noise = random.split(key)
        batches = random.permutation(of_order, len(x)).reshape(-1, problem.batch)
        keys = random.split(of_noise, len(batches))
        return lax.scan(step, state, (batches, keys))[0]

    def step(state: tuple[Any, Any], given: tuple[Array, Array]) -> tuple[tuple[Any, Any], None]:
        (params, moments), (rows, key) = state, given
        gradients = jax.grad(loss)(params, x[rows], key)
        updates, moments = optimiser.update(gradients, moments)
        return (optax.apply_updates(params, updates), moments), None

    state, laps, key = (params, optimiser.init(params)), Laps(), random.PRNGKey(problem.seed)
    for e in range(problem.epochs):
        laps.begin()
        state = jax.block_until_ready(epoch(state, random.fold_in(key, e)))
        laps.end()
    write_result(result, laps, *(_layers(state[0][name]) for name in ("encoder", "decoder")))


def _bound(x: Array, logits: Array, mean: Array, log_std: Array, eps: Array, z: Array) -> Array:
    """Compute the ELBO with its KL in closed form, or log 1/K Σ_k w_k of K particles, (B,)."""
    log_likelihood = (x * logits - jax.nn.softplus(logits)).sum(-1)
    if len(eps) == 1:
        kl = 0.5 * (mean**2 + jnp.exp(2 * log_std) - 1 - 2 * log_std).sum(-1)
        return log_likelihood[0] - kl
    # log p(z) − log q(z | x)
    log_ratio = (0.5 * (eps**2 - z**2) + log_std).sum(-1)
    return jax.nn.logsumexp(log_ratio + log_likelihood, 0) - jnp.log(len(eps))


def _params(layers: Layers) -> dict[str, Any]:
    named = {
        f"Dense_{i}": {"kernel": jnp.asarray(weight.T), "bias": jnp.asarray(bias)}
        for i, (weight, bias) in enumerate(layers)
    }
    return {"params": named}


def _layers(params: dict[str, Any]) -> Layers:
    named = params["params"]
    parts = (named[f"Dense_{i}"] for i in range(len(named)))
    return [(np.asarray(part["kernel"].T), np.asarray(part["bias"])) for part in parts]


if __name__ == "__main__":
    main(*sys.argv[1:])
