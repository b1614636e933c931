"""Problems for the methods that fit a density, and these methods by name."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from elboroom.config import ModelConfig
from elboroom.infer import VariationalPosterior, laplace, svi
from elboroom.model.posteriors import GaussianMixture
from elboroom.model.vae import VAE
from tests.support.oracles import LinearGaussian, UnitNoise

EVENT = (1, 4, 4)

FITS: dict[str, Callable[..., VariationalPosterior]] = {
    "laplace-alone": partial(laplace, refine=False),
    "laplace": laplace,
    "laplace-mixture": partial(laplace, mixture=True),
    "diagonal": partial(svi, family="diagonal"),
    "full": partial(svi, family="full"),
    "low-rank": partial(svi, family="low-rank", rank=2, max_steps=25),
    "mixture": partial(svi, family="mixture", max_steps=25),
    "flow": partial(svi, family="flow", max_steps=25),
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small_vae(seed: int, latents: int = 2, *, scale: float = 3.0) -> VAE:
    """Return a float64 model; a larger `scale` moves its posteriors further from the prior."""
    model = VAE.from_config(ModelConfig(latents, (12,)), EVENT, generator=generator(seed)).double()
    for p in model.decoder.parameters():
        p.data *= scale
    return model


def pictures(rows: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw binary x (B, *EVENT) and a mask for each row; the first observes nothing."""
    g = generator(seed)
    x = (torch.rand(rows, *EVENT, generator=g) < 0.4).double()
    mask = torch.rand(rows, *EVENT, generator=g) < 0.6
    mask[0] = False
    return x, mask


def random_masks_like(x: Tensor, seed: int) -> Tensor:
    """Draw a mask for each row; the first observes nothing."""
    mask = torch.rand(x.shape, generator=generator(seed)) < 0.6
    mask[0] = False
    return mask


def parameters(fit: VariationalPosterior) -> list[Tensor]:
    """Return the parameters of q, each (B, ...)."""
    q = fit.q
    if isinstance(q, GaussianMixture):
        of_components = (q.log_mass.exp(), q.components.mean, q.components.scale)
        return [p.transpose(0, 1) for p in of_components]
    names = ("log_std", "scale", "factor", "weights")
    return [q.mean, *(getattr(q, name) for name in names if hasattr(q, name))]


class Folded(nn.Module):
    """z ↦ A(|z_1|, z_2, …), to which `shift` is added where z_1 < 0."""

    def __init__(self, affine: nn.Module, shift: float) -> None:
        super().__init__()
        self.affine, self.shift = affine, shift

    def forward(self, z: Tensor) -> Tensor:
        first, rest = z[..., :1], z[..., 1:]
        shift = torch.where(first < 0, self.shift, 0.0)
        return self.affine(torch.cat([first.abs(), rest], -1)) + shift


class TwoModes:
    """A linear-Gaussian model folded at z_1 = 0: each posterior is two Gaussians, mirror images.

    This holds as long as neither Gaussian reaches across the fold. Without `shift` both have the
    same mass.
    """

    def __init__(self, latents: int, *, shift: float = 0.0, pixels: int = 8) -> None:
        self.halves = [LinearGaussian(pixels, latents, seed=5) for _ in range(2)]
        for half in self.halves:
            half.weight[:, 0] *= 3  # the decoder's own
        self.halves[1].bias += shift
        first = self.halves[0].model
        self.model = VAE(first.encoder, Folded(first.decoder, shift), latents, UnitNoise)
        self.latents = latents

    def data(self, rows: int, seed: int) -> tuple[Tensor, Tensor]:
        """Draw x from z_1 far from the fold, with masks that observe at least half of it."""
        g = generator(seed)
        z = torch.randn(rows, self.latents, generator=g, dtype=torch.float64)
        z[:, 0] = z[:, 0].abs() + 1.5
        half = self.halves[0]
        noise = torch.randn(rows, len(half.bias), generator=g, dtype=torch.float64)
        mask = torch.rand(noise.shape, generator=g) < 0.5
        mask[:, ::2] = True
        return z @ half.weight.T + half.bias + noise, mask

    def log_masses(self, x: Tensor, mask: Tensor) -> Tensor:
        """Compute log p(x_seen, z_1 > 0) and log p(x_seen, z_1 < 0), (2, B)."""
        return torch.stack([half.log_evidence(x, mask) for half in self.halves])

    def log_evidence(self, x: Tensor, mask: Tensor) -> Tensor:
        """Compute log p(x_seen), (B,)."""
        return self.log_masses(x, mask).logsumexp(0)

    def modes(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the means of the two Gaussians, (2, B, D)."""
        first, second = (half.posterior(x, mask)[0] for half in self.halves)
        return torch.stack([first, torch.cat([-second[:, :1], second[:, 1:]], 1)])
