"""NumPyro's diagonal Gaussian of z given the first pixels of each image, for all images at once.

python numpyro_svi.py PROBLEM.npz RESULT.npz SEEN STEPS PARTICLES

The decoder stays as it is. RESULT gets `mean` and `scale`, (B, D), and the `seconds` of
`SVI.run`, compiled before.
"""

import sys
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.infer import SVI, TraceMeanField_ELBO
from numpyro.infer.autoguide import AutoNormal
from numpyro.optim import Adam
from problem import Layers, Problem

FIRST_STEP = 0.05
_ACTIVATIONS = {"softplus": jax.nn.softplus, "tanh": jnp.tanh}


def main(path: str, result: str, *counts: str) -> None:
    """Fit, and write what came of it."""
    problem = Problem.read(path)
    seen, steps, particles = map(int, counts)
    schedule = lambda i: FIRST_STEP * 0.5 * (1 + jnp.cos(jnp.pi * i / steps))  # noqa: E731
    model = _model(problem.decoder, problem.activation, seen)
    svi = SVI(model, AutoNormal(model), Adam(schedule), TraceMeanField_ELBO(particles))
    fit = jax.jit(lambda key, x: svi.run(key, steps, x, progress_bar=False).params)
    arguments = jax.random.PRNGKey(0), jnp.asarray(problem.x[:, :seen], jnp.float32)
    compiled = fit.lower(*arguments).compile()
    clock = time.perf_counter()
    params = jax.block_until_ready(compiled(*arguments))
    seconds = time.perf_counter() - clock
    mean, scale = params["z_auto_loc"], params["z_auto_scale"]
    np.savez(result, mean=mean, scale=scale, seconds=seconds)


def _model(decoder: Layers, activation: str, seen: int) -> Callable[[jax.Array], None]:
    *hidden, (weight, bias) = decoder
    latents = decoder[0][0].shape[1]

    def model(x: jax.Array) -> None:
        with numpyro.plate("images", len(x)):
            h = numpyro.sample("z", dist.Normal(jnp.zeros(latents), 1.0).to_event(1))
            for w, b in hidden:
                h = _ACTIVATIONS[activation](h @ w.T + b)
            logits = h @ weight[:seen].T + bias[:seen]
            numpyro.sample("x", dist.Bernoulli(logits=logits).to_event(1), obs=x)

    return model


if __name__ == "__main__":
    main(*sys.argv[1:])
