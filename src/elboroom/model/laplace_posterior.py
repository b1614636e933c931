"""q(z | x_seen) from the decoder itself: Gaussians at the modes of p(x_seen, z), for any mask.

There is no encoder to train, and no mask that it has not met. Park, Kim & Kim, *Variational Laplace
Autoencoders* (2019), train decoders with such a posterior. For a linear decoder with Gaussian noise
it is exact, and with a mixture as the prior so is the mixture over its components.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from elboroom.errors import UsageError
from elboroom.model.likelihoods import ObservationModel
from elboroom.model.likelihoods.wide import wide
from elboroom.model.linear_algebra import damped_newton_step, inverse_root
from elboroom.model.networks import EncoderNetwork
from elboroom.model.posteriors import Density, DiagonalGaussian, Gaussian, GaussianMixture
from elboroom.model.priors import Prior

_STEPS = 30  # at most, to a mode; a linear decoder needs one
_STEPS_IN_TRAINING = 2  # the decoder changes anyway; six made no table's errors smaller
_GAIN = 1e-3  # nats: a step that promises less is not taken
_DAMPING = 0.1  # of the first step after one that failed
_JACOBIAN = 1 << 25  # largest number of floats in the derivatives for a chunk of rows


class Joint(Protocol):
    """A model p(x, z) = p(z) p(x | z), as `VAE` is one."""

    training: bool
    latents: int
    prior: Prior
    likelihood: ObservationModel

    @property
    def parameter_shape(self) -> tuple[int, ...]:
        """The shape of the decoder's output for one z."""
        ...

    def decoder_jacobian(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the output at z (B, D), and its derivative by each latent, (D, B, *parameter)."""
        ...


class NoEncoder(EncoderNetwork):
    """The place of the encoder in a model whose posterior follows from its decoder."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Refuse: there is nothing to compute.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            "this model has no encoder",
            why="its posterior is laplace, which follows from the decoder",
            fix="take model.posterior(x, mask)",
        )


@torch.no_grad()
def laplace_posterior(model: Joint, x: Tensor, mask: Tensor | None) -> Density:
    """Return the Laplace approximation of p(z | x_seen), without gradients.

    With a mixture of C components as the prior it is the mixture of those of each component, each
    with the mass that Laplace gives it.

    Args:
        model: the model.
        x: (B, *event).
        mask: True where a value is seen, like `x`; None if all are.
    """
    log_masses, components = _components(model.prior)
    count = len(log_masses)
    floats = count * model.latents * sum(model.parameter_shape)
    parts = torch.arange(len(x), device=x.device).split(max(1, _JACOBIAN // floats))
    with torch.autocast(x.device.type, enabled=False):
        found = [
            _of_rows(model, x[p], None if mask is None else mask[p], components) for p in parts
        ]
    means, scales, evidences = (torch.cat(part, 1) for part in zip(*found, strict=True))
    if count == 1:
        return Gaussian(means[0], scales[0])
    return GaussianMixture(log_masses[:, None] + evidences, Gaussian(means, scales))


def _components(prior: Prior) -> tuple[Tensor, DiagonalGaussian]:
    """Return the log masses (C,) and the Gaussians (C, D) that a prior is a mixture of.

    Raises:
        UsageError: it is none.
    """
    found = prior.components()
    if found is None:
        raise UsageError(
            f"the posterior laplace cannot be used with a {type(prior).__name__}",
            why="it needs a prior that is a mixture of Gaussians",
            fix="use --prior standard or --prior mixture",
        )
    return found


def _of_rows(
    model: Joint, x: Tensor, mask: Tensor | None, prior: DiagonalGaussian
) -> tuple[Tensor, Tensor, Tensor]:
    """Return means (C, B, D), roots of covariances (C, B, D, D) and log p(x_seen | c), (C, B).

    The latter lacks a constant.
    """
    count, rows = len(prior.location), len(x)
    index = torch.arange(rows, device=x.device).repeat(count)
    each = (part.repeat_interleave(rows, 0) for part in (prior.location, prior.log_std))
    many = None if mask is None else mask.expand_as(x)[index]
    place = _ascend(_Rows(model, x[index], many, DiagonalGaussian(*each)))
    root = inverse_root(place.precision)
    # log ∫ p(x_seen, z | c) dz ≈ log p(x_seen, mode | c) + ½ D log 2π + log |det A|
    log_det = root.diagonal(dim1=-1, dim2=-2).log().sum(-1)
    root, shape, evidence = root.to(place.z), (count, rows), place.value + log_det.to(place.z)
    return place.z.unflatten(0, shape), root.unflatten(0, shape), evidence.view(shape)


@dataclass(frozen=True)
class _Place:
    """A z of each row, (B, D), with log p(x_seen, z), its gradient and its precision there."""

    z: Tensor
    value: Tensor
    gradient: Tensor
    precision: Tensor

    def where(self, better: Tensor, other: "_Place") -> "_Place":
        """Return this place where True, else the other."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return _Place(*(torch.where(better.view(-1, *[1] * (a.ndim - 1)), a, b) for a, b in pairs))


@dataclass(frozen=True)
class _Rows:
    """Rows of data, each with a Gaussian prior of its own."""

    model: Joint
    x: Tensor
    mask: Tensor | None
    prior: DiagonalGaussian

    def at(self, z: Tensor) -> _Place:
        parameter, jacobian = self.model.decoder_jacobian(z)
        likelihood = self.model.likelihood(parameter)
        # In float32 the precision of a column that others determine would not be positive.
        jacobian = wide(jacobian.flatten(2).transpose(0, 1))  # (B, D, L)
        score = wide(likelihood.score(self.x, self.mask).flatten(1))
        inverse = (-2 * self.prior.log_std).exp()
        # ∇ log p(x, z) = Jᵀ ∂ log p(x | l)/∂l + Λ (μ − z)
        gradient = (jacobian @ score[..., None])[..., 0] + inverse * (self.prior.location - z)
        # Λ + Jᵀ W J
        precision = torch.diag_embed(inverse) + likelihood.precision(jacobian, self.mask)
        value = likelihood.log_prob(self.x, self.mask) + self.prior.log_prob(z)
        return _Place(z, value, gradient, precision)


def _ascend(rows: _Rows) -> _Place:
    """Ascend to modes by Levenberg–Marquardt steps from the means of the prior.

    A step that does not raise log p(x_seen, z) is undone, and the damping of its row grows.
    """
    place = rows.at(rows.prior.location)
    damping = torch.zeros_like(place.value)
    for _ in range(_STEPS_IN_TRAINING if rows.model.training else _STEPS):
        step = damped_newton_step(place.gradient, place.precision, damping).to(place.z)
        # ½ gᵀ P⁻¹ g is what the quadratic of the row gains
        if not (0.5 * (place.gradient * step).sum(-1) >= _GAIN).any():
            break
        tried = rows.at(place.z + step)
        better = tried.value > place.value
        place = tried.where(better, place)
        damping = torch.where(better, 0.1 * damping, (10 * damping).clamp(min=_DAMPING))
    return place
