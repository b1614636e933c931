"""Priors in two dimensions, whose parameters differ from the initial ones."""

from collections.abc import Callable

import torch

from elboroom.model.priors import FlowPrior, MixturePrior, Prior, StandardNormal, VampPrior


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mixture(components: int = 4, latents: int = 2, seed: int = 0) -> MixturePrior:
    generator = noise(seed)
    logits, means, log_stds = (
        torch.randn(shape, generator=generator, dtype=torch.float64)
        for shape in [(components,), (components, latents), (components, latents)]
    )
    return MixturePrior(logits, 2 * means, 0.4 * log_stds)


def flow(latents: int = 2, seed: int = 0, by: float = 0.1) -> FlowPrior:
    """Return a flow that differs from N(0, I), its initial density."""
    prior = FlowPrior(latents, noise(seed)).double()
    generator = noise(seed + 1)
    for p in prior.parameters():
        p.data += by * torch.randn(p.shape, generator=generator, dtype=p.dtype)
    return prior.requires_grad_(False)


class Halves(torch.nn.Module):
    """x (B, 2 D) → its halves as mean and log standard deviation."""

    def forward(self, x):
        mean, log_std = x.flatten(1).chunk(2, -1)
        return 4 * mean - 2, log_std - 1


def vamp(components: int = 5, latents: int = 2, seed: int = 0) -> VampPrior:
    images = torch.rand(components, 1, 1, 2 * latents, generator=noise(seed), dtype=torch.float64)
    return VampPrior(Halves(), images)


def vamp_of(encoder: torch.nn.Module, components: int, pixels: int, seed: int = 0) -> VampPrior:
    """Return the prior that shares `encoder`, at random images."""
    images = torch.rand(components, pixels, generator=noise(seed), dtype=torch.float64)
    return VampPrior(encoder, images)


PRIORS: dict[str, Callable[[], Prior]] = {
    "standard": lambda: StandardNormal(2).double(),
    "mixture": mixture,
    "vamp": vamp,
    "flow": flow,
}
