"""A normalising flow fitted to every row."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elboroom.infer.fitting.adam_ascent import AdamAscent
from elboroom.infer.fitting.ascent import Parameters
from elboroom.infer.fitting.expectation_nodes import ExpectationNodes, antithetic
from elboroom.infer.target import Target
from elboroom.model.flows import Spline
from elboroom.model.linear_algebra import times
from elboroom.model.normal import log_standard_normal
from elboroom.model.posteriors import Density, Gaussian
from elboroom.randomness import normals

_TRANSFORMS = 2
_WIDTH = 16
_MEAN_DRAWS = 1_024


@dataclass(frozen=True)
class SplineFlow(Density):
    """The density of z = μ + A f(ε), with one spline flow f per row.

    Attributes:
        spline: the form of f.
        weights: (B, P), the weights of each row's f.
        affine: μ (B, D) and A (B, D, D).
    """

    spline: Spline
    weights: Tensor
    affine: Gaussian

    best_fit = "svi-flow"

    @property
    def mean(self) -> Tensor:
        """E_q[z], (B, D), estimated from the same 1,024 ε for every row."""
        like = self.affine.mean
        generator = torch.Generator(like.device).manual_seed(0)
        eps = antithetic(_MEAN_DRAWS, like.shape[-1], like, generator).eps
        return self.at(eps[:, None].expand(-1, *like.shape)).mean(0)

    def sample(self, k: int, generator: torch.Generator) -> Tensor:
        """Draw k values of z for each row, (k, B, D)."""
        return self.draw(k, generator)[0]

    def draw(self, k: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw k values of z for each row, (k, B, D), with their log q in nats, (k, B).

        The flow is not inverted.
        """
        like = self.affine.mean
        eps = normals((k, *like.shape), like, generator)
        z, log_det = self.transform(eps)
        return z, log_standard_normal(eps) - log_det

    def at(self, eps: Tensor) -> Tensor:
        """Transform standard normal noise ε into z, (K, B, D) → (K, B, D)."""
        return self.transform(eps)[0]

    def transform(self, eps: Tensor) -> tuple[Tensor, Tensor]:
        """Compute z = μ + A f(ε) and log |det ∂z/∂ε|: (K, B, D) → (K, B, D), (K, B)."""
        u, log_det = self._warp(eps, inverse=False)
        z = self.affine.mean + times(self.affine.scale, u)
        return z, log_det + torch.linalg.slogdet(self.affine.scale).logabsdet

    def log_prob(self, z: Tensor) -> Tensor:
        """Compute log q(z) in nats, z (..., B, D) → (..., B)."""
        flat = z.reshape(-1, *z.shape[-2:])
        u = times(torch.linalg.inv(self.affine.scale), flat - self.affine.mean)
        eps, log_det = self._warp(u, inverse=True)
        # log q(z) = log N(ε; 0, I) + log |det ∂ε/∂u| − log |det A|
        log_det = log_det - torch.linalg.slogdet(self.affine.scale).logabsdet
        return (log_standard_normal(eps) + log_det).view(z.shape[:-1])

    def _warp(self, points: Tensor, *, inverse: bool) -> tuple[Tensor, Tensor]:
        """Apply each row's flow to its own points (K, B, D)."""

        def warp(weights: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
            named = self.spline.named(weights)
            return torch.func.functional_call(self.spline, named, (own, inverse))

        return torch.func.vmap(warp, in_dims=(0, 1), out_dims=(1, 1))(self.weights, points)


class FlowAscent(AdamAscent):
    """The ascent of spline flows.

    The parameters are the flows' weights, and the fixed mean and scale of the Gaussian that they
    transform.
    """

    # Flows need more steps: they have more parameters, and their gradients have more noise than a
    # path derivative.
    free = 1
    steps = 50

    def __init__(self, latents: int, k: int, like: Tensor, generator: torch.Generator) -> None:
        super().__init__(latents, k, like, generator)
        self.spline = Spline(latents, max(_WIDTH, latents), _TRANSFORMS).to(like)

    def start(self, q: Gaussian, generator: torch.Generator) -> Parameters:
        """Return parameters for which the flow is q itself.

        The last layer of every transform is zero; the others are the same in all rows.
        """
        weights = self.spline.first_weights(generator).to(q.mean)
        return weights.expand(len(q.mean), -1).clone(), q.mean, q.scale

    def q(self, parameters: Parameters) -> SplineFlow:
        """Return the density of these parameters."""
        weights, mean, scale = parameters
        return SplineFlow(self.spline, weights, Gaussian(mean, scale))

    def log_weights(
        self, target: Target, parameters: Parameters, nodes: ExpectationNodes
    ) -> Tensor:
        """Compute log w at the nodes, without inverting the flow.

        The path derivative alone would need the inverse, so the whole gradient is used.
        """
        eps = nodes.eps[:, None].expand(-1, len(target), -1)
        z, log_det = self.q(parameters).transform(eps)
        # −log q(z_k) = −log N(ε_k; 0, I) + log |det ∂z/∂ε|
        return target.log_joint(z) - log_standard_normal(eps) + log_det
