"""p(z) and p(x | z) of a model as distributions of Pyro."""

import torch
from pyro import distributions
from pyro.distributions import TorchDistribution, constraints
from torch import Tensor
from torch.types import _size

from elboroom.infer.observed import Array, check_data_and_mask
from elboroom.model.priors import StandardNormal
from elboroom.model.vae import VAE

_ONE = torch.Size()


def prior_of(model: VAE) -> TorchDistribution:
    """Return p(z), with events (D,): Pyro's own N(0, I), or the model's prior."""
    if isinstance(model.prior, StandardNormal):
        zeros = model.prior.origin
        return distributions.Normal(zeros, torch.ones_like(zeros)).to_event(1)
    return ModelPrior(model)


class ModelPrior(TorchDistribution):
    """p(z) of any prior."""

    def __init__(self, model: VAE, batch_shape: _size = _ONE) -> None:
        self.model = model
        super().__init__(torch.Size(batch_shape), torch.Size((model.latents,)), validate_args=False)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """None: there are no parameters."""
        return {}

    @property
    def support(self) -> constraints.Constraint:
        """Vectors of real numbers."""
        return constraints.real_vector

    def expand(self, batch_shape: _size, _instance: object = None) -> "ModelPrior":
        """Return p(z) of independent rows."""
        return ModelPrior(self.model, batch_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Compute log p(z) in nats, (..., D) → (...)."""
        return self.model.prior(1).log_prob(value)

    def sample(self, sample_shape: _size = _ONE) -> Tensor:
        """Draw z, (*sample_shape, *batch_shape, D)."""
        shape = (*sample_shape, *self.batch_shape)
        with torch.no_grad():
            z = self.model.prior(1).sample(torch.Size(shape).numel(), torch.default_generator)
        return z.view(*shape, self.model.latents)


class Decoded(TorchDistribution):
    """p(x | z) of rows, of which a density counts the seen values; z is (..., B, D)."""

    def __init__(self, model: VAE, z: Tensor, seen: Array | None) -> None:
        self.model, self.z, self.seen = model, z, seen
        super().__init__(z.shape[:-1], torch.Size(model.event_shape), validate_args=False)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """None: there are no parameters."""
        return {}

    @property
    def support(self) -> constraints.Constraint:
        """Real numbers: the model's own check of x is stricter."""
        return constraints.independent(constraints.real, len(self.event_shape))

    def expand(self, batch_shape: _size, _instance: object = None) -> "Decoded":
        """Return p(x | z) with z repeated."""
        z = self.z.expand(*batch_shape, self.model.latents)
        return Decoded(self.model, z, self.seen)

    def log_prob(self, value: Array) -> Tensor:
        """Compute log p(x_seen | z) in nats of x (B, *event), (..., B).

        Raises:
            UsageError: x or mask do not fit the model.
        """
        x, mask = check_data_and_mask(self.model, value, self.seen)
        return self.model.log_likelihood(x, self.z, mask)

    def sample(self, sample_shape: _size = _ONE) -> Tensor:
        """Draw x, (*sample_shape, ..., B, *event)."""
        z = self.z.expand(*sample_shape, *self.z.shape)
        with torch.no_grad():
            return self.model.decode(z).sample(torch.default_generator)
