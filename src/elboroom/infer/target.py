"""The target of inference: log p(x_seen, z) of a batch of rows, as a function of z alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from elboroom.device import autocast, require_room, resolve_precision
from elboroom.device.kernel import Kernel
from elboroom.errors import UsageError
from elboroom.infer.known_model import KnownModel
from elboroom.infer.observed import (
    Array,
    Observed,
    check_data_and_mask,
    restrict_to_observed,
)
from elboroom.model.compilation import repays_compiling
from elboroom.model.decoding import decoded_at_a_time, values_of_one
from elboroom.model.posteriors import MOST_DENSE, Density
from elboroom.model.vae import VAE

_JACOBIAN = 1 << 25  # largest number of floats in the derivatives of a layer, for a chunk of rows


@dataclass(frozen=True)
class Target:
    """The log-density log p(x_seen, z) of B rows: each row's posterior, up to its log p(x_seen).

    Unseen pixels are integrated out; pixels that no row sees are not decoded.

    Attributes:
        model: the model, its decoder restricted to the pixels that some row sees.
        x: (B, *event), in most cases (B, P) with the P pixels.
        mask: like x, True where seen; None if all are.
        given: the data and the mask (B, *event) that the target was made from.
        source: the model that the target was made from.
        products: data type of the decoder's matrix products.
        kernels: compiled gradients, by the number of chains that they were compiled for.
    """

    model: VAE
    x: Tensor
    mask: Tensor | None
    given: Observed
    source: KnownModel
    products: torch.dtype = torch.float32
    kernels: Mapping[int, Kernel] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, model: VAE, x: Array, mask: Array | None, *, restrict: bool = True) -> "Target":
        """Build the target of `model` given x (B, *event) where `mask` is True.

        Args:
            model: the model.
            x: the data.
            mask: True where a pixel is seen; None for all.
            restrict: False decodes the pixels that no row sees, too.

        Raises:
            UsageError: if data or mask do not fit the model; see `check_data_and_mask`.
        """
        x, mask = check_data_and_mask(model, x, mask)
        parts = restrict_to_observed(model, x, mask) if restrict else (model.fixed(), x, mask)
        return cls(*parts, Observed.of(x, mask), KnownModel.of(model))

    def __len__(self) -> int:
        return len(self.x)

    @property
    def latents(self) -> int:
        """D."""
        return self.model.latents

    @property
    def is_large(self) -> bool:
        """True if D × D matrices are avoided: D > 300 under N(0, I), beside a few latents at most.

        Then the precision is I plus a matrix of low rank. Under other priors it has any rank, and
        stays a matrix.
        """
        return self.latents > MOST_DENSE and self.is_nearly_standard

    @property
    def is_nearly_standard(self) -> bool:
        """True if the prior is N(0, I) but for 300 latents at most, as those of a top level."""
        standard = self.model.prior.standard_latents
        return standard > 0 and self.latents - standard <= MOST_DENSE

    def require_fitted(self, q: Density, what: str) -> None:
        """Check that a density belongs to these rows.

        Raises:
            UsageError: if its means are not (B, D); `what` names the density.
        """
        expected = (len(self), self.latents)
        if q.mean.shape != expected:
            raise UsageError(
                f"this {what} does not fit the data",
                why=f"its means have shape {tuple(q.mean.shape)}; expected {expected}",
                fix=f"fit the {what} to the same rows, with the same model",
            )

    def require_room(self, *shape: int, **counts: int) -> None:
        """Check that an array (*shape, B, D) can be held, before it is computed.

        Args:
            shape: the leading axes.
            counts: the caller's arguments that set their sizes, by name.

        Raises:
            UsageError: if the memory is not free.
        """
        require_room((*shape, len(self), self.latents), self.x, **counts)

    def require_same(self, model: VAE, given: Observed) -> None:
        """Check that a posterior of this target is one of a model, given some data.

        Raises:
            UsageError: it is of other weights, of other rows, another mask or other seen values.
        """
        self.source.require_same(model)
        self.given.require_same(given)

    def fast(self) -> "Target":
        """Return this target with bfloat16 products if the hardware has them, for gradients only.

        The log-density is then wrong by hundredths of a nat, so do not use its values.
        """
        return replace(self, products=resolve_precision("auto", self.x.device))

    def kernels_for(self, evaluations: Mapping[int, int]) -> dict[int, Kernel]:
        """Return gradients that the first call compiles, where they repay the compiler.

        They serve all targets of the same fixed model with as many rows.

        Args:
            evaluations: how often the gradient of all rows is computed, by the number of chains.
        """
        most = decoded_at_a_time(self.model, self.x)
        repaid = [
            chains
            for chains, count in evaluations.items()
            if repays_compiling(
                self.model,
                self.x.device,
                draws=(draws := chains * len(self)) * count,
                at_once=min(draws, most),
                passes=2,
            )
        ]
        return {chains: Kernel(_value_and_gradient) for chains in repaid}

    def rows(self, index: Tensor) -> "Target":
        """Return the target of some rows; a row may be repeated."""
        mask = None if self.mask is None else self.mask[index]
        return replace(self, x=self.x[index], mask=mask, given=self.given.rows(index))

    def log_joint(self, z: Tensor) -> Tensor:
        """Compute log p(x_seen, z) in nats: z (..., B, D) → (..., B)."""
        parts = [rows._log_joint(z[..., index, :]) for index, rows in self._chunks(z)]
        return torch.cat(parts, -1)

    def gradient(self, z: Tensor) -> Tensor:
        """Compute ∇_z log p(x_seen, z), (..., B, D)."""
        return self.value_and_gradient(z)[1]

    def value_and_gradient(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Compute log p(x_seen, z), (..., B), and its gradient (..., B, D) from one decoding."""
        parts = [rows._value_and_gradient(z[..., index, :]) for index, rows in self._chunks(z)]
        values, gradients = zip(*parts, strict=True)
        return torch.cat(values, -1), torch.cat(gradients, -2)

    def _chunks(self, z: Tensor) -> Iterator[tuple[Tensor, "Target"]]:
        most = decoded_at_a_time(self.model, self.x)
        rows = max(1, most * len(self) // max(1, z[..., 0].numel()))
        for index in torch.arange(len(self), device=z.device).split(rows):
            yield index, self.rows(index)

    def _log_joint(self, z: Tensor) -> Tensor:
        with autocast(self.products, self.x.device):
            return self.model.log_joint(self.x, z, self.mask)

    def _value_and_gradient(self, z: Tensor) -> tuple[Tensor, Tensor]:
        compute = self.kernels.get(len(z), _value_and_gradient)
        value, gradient = compute(self.model, self.products, self.x, self.mask, z)
        return value, gradient

    @torch.no_grad()
    def log_joint_table(self, points: Tensor) -> Tensor:
        """Compute log p(x_seen, z) in nats at G points (G, D) that all rows share, (G, B)."""
        some = points.split(decoded_at_a_time(self.model, self.x))
        tables = [self.model.decode(z).log_prob_table(self.x, self.mask) for z in some]
        return self.model.prior(1).log_prob(points[:, None]) + torch.cat(tables)

    def curvature(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the gradient (B, D) and the Gauss–Newton precision (B, D, D) at z (B, D).

        With l (L,) the decoder's output and J = ∂l/∂z, the precision is P + Jᵀ W J, where W is the
        likelihood's Fisher information (Schraudolph, 2002) and P the prior's precision. It is
        −∇² log p(x_seen, z) without the decoder's second derivatives, and is positive definite.
        """
        rows = max(1, _JACOBIAN // (self.latents * values_of_one(self.model, self.x)))
        chunks = torch.arange(len(z), device=z.device).split(rows)
        parts = [self.rows(chunk)._curvature(z[chunk]) for chunk in chunks]
        gradient, precision = (torch.cat(part) for part in zip(*parts, strict=True))
        return gradient, precision

    @torch.no_grad()
    def _curvature(self, z: Tensor) -> tuple[Tensor, Tensor]:
        with autocast(self.products, self.x.device):
            parameter, jacobian = self.model.decoder_jacobian(z)
        likelihood = self.model.likelihood(parameter)
        score = likelihood.score(self.x, self.mask).flatten(1)
        jacobian = jacobian.flatten(2).transpose(0, 1)  # (B, D, L)
        slope, prior_precision = self.model.prior.curvature(z)
        # ∇ log p(x, z) = Jᵀ ∂ log p(x | l)/∂l + ∇ log p(z)
        gradient = (jacobian @ score[..., None])[..., 0] + slope
        # P + Jᵀ W J
        precision = prior_precision + likelihood.precision(jacobian, self.mask)
        return gradient, _positive(precision)


def _value_and_gradient(
    model: VAE, products: torch.dtype, x: Tensor, mask: Tensor | None, z: Tensor
) -> tuple[Tensor, Tensor]:
    with torch.enable_grad(), autocast(products, x.device):
        z = z.detach().requires_grad_()
        log_joint = model.log_joint(x, z, mask)
        return log_joint.detach(), torch.autograd.grad(log_joint.sum(), z)[0]


def _positive(precision: Tensor) -> Tensor:
    """Add the size of rounding errors to the diagonal, so that a Cholesky factor exists."""
    rounding = 8 * precision.shape[-1] * torch.finfo(precision.dtype).eps
    return precision + rounding * torch.diag_embed(precision.diagonal(dim1=-2, dim2=-1))
