"""The decoder as a function of JAX."""

from collections.abc import Callable
from typing import Any

from elboroom.errors import extra_needed
from elboroom.exports.frozen import frozen
from elboroom.model.arguments import checked
from elboroom.model.vae import VAE


@checked
def jax_decoder(model: VAE) -> Callable[[Any], Any]:
    """Return the decoder for JAX, z (..., D) → the likelihood's parameter (..., *parameter).

    PyTorch computes it: JAX calls it back, also under `jit` and `vmap`, and in reverse mode its
    gradient. Every network works, and each number is the model's own. The weights are constant:
    later training does not change the function. Forward mode, and with it `jax.hessian`, is not
    supported.

    Args:
        model: the model, of which a copy in evaluation mode is taken.

    Raises:
        UsageError: JAX is not installed; in a call, that z has another number of latents.

    Example:
        >>> import jax
        >>> from elboroom.exports import jax_decoder
        >>> decoder = jax.jit(jax_decoder(model))
        >>> decoder(jax.numpy.zeros((5, 2))).shape
        (5, 1, 28, 28)
    """
    with extra_needed("the decoder cannot be given to JAX", "numpyro", "jax", "jaxlib"):
        from elboroom.exports.jax_functions import as_latents, mapping
    constant = frozen(model)
    call = mapping(constant.decoder_output, constant.parameter_shape, constant)
    return lambda z: call(as_latents(z, constant.latents))
