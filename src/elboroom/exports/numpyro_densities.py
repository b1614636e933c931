"""p(z) and p(x | z) of a model as distributions of NumPyro."""

from typing import Any

import jax
import numpy as np
from jax import numpy as jnp
from jax.core import Tracer
from numpyro import distributions
from numpyro.distributions import constraints
from torch import Tensor

from elboroom.errors import UsageError
from elboroom.exports.jax_functions import draw, log_density
from elboroom.infer.observed import Array, check_data_and_mask, restrict_to_observed
from elboroom.model.priors import StandardNormal
from elboroom.model.vae import VAE


def prior_of(model: VAE) -> distributions.Distribution:
    """Return p(z), with events (D,): NumPyro's own N(0, I), or the model's prior."""
    if isinstance(model.prior, StandardNormal):
        return distributions.Normal(0.0, 1.0).expand([model.latents]).to_event(1)
    return ModelPrior(model)


class ModelPrior(distributions.Distribution):
    """p(z) of any prior, which PyTorch computes."""

    def __init__(self, model: VAE) -> None:
        self.model = model
        super().__init__(event_shape=(model.latents,))

    @property
    def support(self) -> constraints.Constraint[Any]:
        """Vectors of real numbers."""
        return constraints.real_vector

    def log_prob(self, value: Any, intermediates: Any = None) -> jax.Array:
        """Compute log p(z) in nats, (..., D) → (...)."""
        return log_density(self.model.prior(1).log_prob, self.model)(value)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> jax.Array:
        """Draw z, (*sample_shape, D)."""
        shape = (*sample_shape, self.model.latents)
        return draw(
            lambda like, g: self.model.prior(1).sample(like[..., 0].numel(), g).view(shape),
            shape,
            self.model,
            key,
            jnp.zeros(shape),
        )


class Decoded(distributions.Distribution):
    """p(x | z) of rows, of which a density counts the seen values; z is (..., B, D)."""

    def __init__(self, model: VAE, z: jax.Array, seen: Any) -> None:
        self.model, self.z, self.seen = model, z, seen
        super().__init__(batch_shape=z.shape[:-1], event_shape=model.event_shape)

    @property
    def support(self) -> constraints.Constraint[Any]:
        """Real numbers: the model's own check of x is stricter."""
        return constraints.independent(constraints.real, len(self.event_shape))

    def log_prob(self, value: Any, intermediates: Any = None) -> jax.Array:
        """Compute log p(x_seen | z) in nats of x (B, *event), (..., B).

        Raises:
            UsageError: x or mask do not fit the model, or are traced.
        """
        small, x, seen = restrict_to_observed(self.model, *known_rows(self.model, value, self.seen))
        return log_density(lambda z: small.log_likelihood(x, z, seen), self.model)(self.z)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> jax.Array:
        """Draw x, (*sample_shape, ..., B, *event)."""
        z = jnp.broadcast_to(self.z, (*sample_shape, *self.z.shape))
        shape = (*z.shape[:-1], *self.event_shape)
        return draw(lambda z, g: self.model.decode(z).sample(g), shape, self.model, key, z)


def known_rows(model: VAE, x: Any, mask: Any) -> tuple[Tensor, Tensor | None]:
    """Check data (B, *event) and their mask, and return both as PyTorch's.

    Raises:
        UsageError: they do not fit the model, or are traced.
    """
    seen = None if mask is None else _known(mask, "mask")
    return check_data_and_mask(model, _known(x, "x"), seen)


def _known(values: Any, name: str) -> Array:
    """Return values that do not wait for JAX to compute them.

    Raises:
        UsageError: they do.
    """
    if isinstance(values, Tracer):
        raise UsageError(
            f"{name} is not known yet",
            why="JAX traces it, as a latent value or as an argument of a jitted function; the data "
            "and their mask must be constants",
            fix=f"give {name} as data: functools.partial(model, x, mask), outside of jit",
        )
    return values if isinstance(values, Tensor) else np.asarray(values)
