"""A VAE trained by NumPyro, as its VAE example does: a whole epoch is one compiled loop.

python numpyro_vae.py PROBLEM.npz RESULT.npz

Several particles are a `RenyiELBO` of order 0.
"""

import sys
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array, lax, random
from numpy.typing import NDArray
from numpyro.infer import SVI, RenyiELBO, Trace_ELBO
from numpyro.infer.svi import SVIState
from numpyro.optim import Adam
from problem import RATE, Laps, Layers, Problem, write_result

_ACTIVATIONS = {"softplus": jax.nn.softplus, "tanh": jnp.tanh}


def main(path: str, result: str) -> None:
    """Train, and write what came of it."""
    problem = Problem.read(path)
    x = jnp.asarray(problem.x, jnp.float32)
    svi = _svi(problem)
    batch, steps = problem.batch, len(x) // problem.batch

    @jax.jit
    def epoch(state: SVIState, key: Array) -> SVIState:
        order = random.permutation(key, len(x))

        def step(i: Array, state: SVIState) -> SVIState:
            rows = lax.dynamic_slice_in_dim(order, i * batch, batch)
            return svi.update(state, jnp.take(x, rows, axis=0))[0]

        return lax.fori_loop(0, steps, step, state)

    key, start = random.split(random.PRNGKey(problem.seed))
    state, laps = svi.init(start, x[:batch]), Laps()
    for e in range(problem.epochs):
        laps.begin()
        state = jax.block_until_ready(epoch(state, random.fold_in(key, e)))
        laps.end()
    params = svi.get_params(state)
    write_result(result, laps, *(_export(params, name) for name in ("encoder", "decoder")))


def _svi(problem: Problem) -> SVI:
    latents, activation = problem.latents, _ACTIVATIONS[problem.activation]

    def network(name: str, layers: Layers, h: Array) -> Array:
        for i, (weight, bias) in enumerate(layers):
            w, b = _param(f"{name}_w{i}", weight.T), _param(f"{name}_b{i}", bias)
            h = h @ w + b
            h = activation(h) if i + 1 < len(layers) else h
        return h

    def model(x: Array) -> None:
        with numpyro.plate("images", len(x)):
            z = numpyro.sample("z", dist.Normal(jnp.zeros(latents), 1.0).to_event(1))
            logits = network("decoder", problem.decoder, jnp.asarray(z))
            numpyro.sample("x", dist.Bernoulli(logits=logits).to_event(1), obs=x)

    def guide(x: Array) -> None:
        with numpyro.plate("images", len(x)):
            mean, log_std = jnp.split(network("encoder", problem.encoder, x), 2, -1)
            numpyro.sample("z", dist.Normal(mean, jnp.exp(log_std)).to_event(1))

    one = problem.particles == 1
    return SVI(model, guide, Adam(RATE), Trace_ELBO() if one else RenyiELBO(0, problem.particles))


def _param(name: str, start: NDArray[np.float32]) -> Array:
    return cast(Array, numpyro.param(name, jnp.asarray(start)))


def _export(params: dict[str, Array], name: str) -> Layers:
    count = sum(key.startswith(f"{name}_w") for key in params)
    pairs = [(params[f"{name}_w{i}"].T, params[f"{name}_b{i}"]) for i in range(count)]
    return [(np.asarray(weight), np.asarray(bias)) for weight, bias in pairs]


if __name__ == "__main__":
    main(*sys.argv[1:])
