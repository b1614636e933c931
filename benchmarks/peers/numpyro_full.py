"""NumPyro's full-covariance fit of z given each image, in an environment of its own.

python numpyro_full.py PROBLEM.npz STEPS PARTICLES RESULT.npz

PROBLEM holds the decoder (w0, b0, w1, b1, …; tanh between) and x (B, P). RESULT gets `mean` (B, D),
`scale` (B, D, D), the `seconds` of the compiled run and those of `compilation`.
"""

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.infer import SVI, Trace_ELBO
from numpyro.infer.autoguide import AutoMultivariateNormal
from numpyro.optim import Adam

FIRST_STEP = 0.02


def main(problem: str, steps: int, particles: int, result: str) -> None:
    """Fit all images at once: `SVI.run`, one compiled loop, mapped over them."""
    arrays = dict(np.load(problem))
    x = jnp.asarray(arrays.pop("x"))
    layers = [(arrays[f"w{i}"], arrays[f"b{i}"]) for i in range(len(arrays) // 2)]
    latents = layers[0][0].shape[1]

    def model(x: jax.Array) -> None:
        h = numpyro.sample("z", dist.Normal(jnp.zeros(latents), 1.0).to_event(1))
        for weight, bias in layers[:-1]:
            h = jnp.tanh(weight @ h + bias)
        weight, bias = layers[-1]
        numpyro.sample("x", dist.Bernoulli(logits=weight @ h + bias).to_event(1), obs=x)

    guide = AutoMultivariateNormal(model)
    schedule = lambda i: FIRST_STEP * 0.5 * (1 + jnp.cos(jnp.pi * i / steps))  # noqa: E731
    svi = SVI(model, guide, Adam(schedule), Trace_ELBO(num_particles=particles))

    @jax.jit
    def fit(keys: jax.Array, x: jax.Array) -> dict[str, jax.Array]:
        one = lambda key, row: svi.run(key, steps, row, progress_bar=False).params  # noqa: E731
        return jax.vmap(one)(keys, x)

    keys = jax.random.split(jax.random.PRNGKey(0), len(x))
    clock = time.perf_counter()
    compiled = fit.lower(keys, x).compile()
    compilation = time.perf_counter() - clock
    clock = time.perf_counter()
    params = jax.block_until_ready(compiled(keys, x))
    seconds = time.perf_counter() - clock
    np.savez(
        result,
        mean=params["auto_loc"],
        scale=params["auto_scale_tril"],
        seconds=seconds,
        compilation=compilation,
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
