"""The model p(x, z) as a model of NumPyro."""

from collections.abc import Callable
from typing import Any

from elboroom.errors import extra_needed
from elboroom.exports.frozen import frozen
from elboroom.exports.row_count import row_count
from elboroom.model.arguments import checked
from elboroom.model.vae import VAE


@checked
def numpyro_model(model: VAE) -> Callable[..., None]:
    """Return p(x, z) as a model of NumPyro, a function (x=None, mask=None, rows=1).

    Its sites are `z` (B, D) and `x` (B, *event) within the plate `row`, with z ~ p(z) and x ~
    p(x | z). Where x is given it is observed, and only its seen values count, which are True in
    `mask`. Without x, `rows` rows are drawn, as `numpyro.infer.Predictive` does for the prior and
    posterior predictive. The prior N(0, I) is NumPyro's own. Every other density is computed by
    PyTorch, which JAX calls back, so that every network, likelihood and prior works, and each
    log-density is the model's own.

    The weights are constant: later training does not change the function. Chains run together
    with `chain_method="vectorized"`. Forward mode, as of `AutoLaplaceApproximation`, is not
    supported. x and mask must be known when JAX compiles, as they are in `MCMC.run` and `SVI.run`.

    Args:
        model: the model, of which a copy in evaluation mode is taken.

    Raises:
        UsageError: NumPyro is not installed; in a call, that data or mask do not fit the model, or
            are traced.

    Example:
        >>> from jax.random import PRNGKey
        >>> from numpyro.infer import Predictive
        >>> from elboroom.exports import numpyro_model
        >>> drawn = Predictive(numpyro_model(model), num_samples=10)(PRNGKey(0), rows=3)
        >>> drawn["z"].shape, drawn["x"].shape  # from the prior, and p(x | z)
        ((10, 3, 2), (10, 3, 1, 28, 28))
    """
    libraries = "numpyro", "jax", "jaxlib"
    with extra_needed("the model cannot be given to NumPyro", "numpyro", *libraries):
        import numpyro

        from elboroom.exports.numpyro_densities import Decoded, known_rows, prior_of
    constant = frozen(model)

    def program(x: Any = None, mask: Any = None, rows: int = 1) -> None:
        if x is not None:
            x = known_rows(constant, x, mask)[0].cpu().numpy()
        with numpyro.plate("row", row_count(x, mask, rows)):
            z = numpyro.sample("z", prior_of(constant))
            numpyro.sample("x", Decoded(constant, z, mask), obs=x)

    return program
