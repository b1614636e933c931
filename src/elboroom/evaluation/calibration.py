"""Simulation-based calibration: does inference give back the z that made the data?"""

from collections.abc import Callable

import torch
from torch import Tensor

from elboroom.infer.posterior import Posterior
from elboroom.model.vae import VAE

Method = Callable[[VAE, Tensor, Tensor | None], Posterior]


@torch.no_grad()
def sbc_ranks(
    model: VAE,
    method: Method,
    *,
    rows: int,
    draws: int,
    generator: torch.Generator,
    mask: Tensor | None = None,
) -> Tensor:
    """The rank of each true latent among posterior draws, (rows, D), in 0 … draws.

    (z, x) come from the model itself; where `method` is exact the ranks are uniform (Talts et al.,
    2018, theorem 1), whatever the mask.

    Args:
        model: from which z and x are drawn.
        method: (model, x, mask) → posterior, such as `partial(infer.hmc, generator=generator)`.
        rows: how many (z, x) are drawn.
        draws: posterior draws of each. They should be nearly independent.
        generator: draws (z, x).
        mask: what is seen of x, broadcast to (rows, *event); None for all.
    """
    z = model.prior(rows).sample(1, generator)[0]
    x = model.decode(z).sample(generator)
    return (method(model, x, mask).sample(draws) < z).sum(0)


def uniformity(ranks: Tensor, draws: int, bins: int = 20) -> Tensor:
    """The p-value of a χ² test that ranks (N, D) in 0 … draws are uniform, for each latent, (D,).

    Bins differ in width by one rank at most, and what is expected of them by as much.
    """
    edges = torch.arange(draws + 1, device=ranks.device) * bins // (draws + 1)
    expected = torch.bincount(edges, minlength=bins) * len(ranks) / (draws + 1)
    counts = torch.nn.functional.one_hot(edges[ranks], bins).sum(0)
    # χ² = Σ_b (n_b − e_b)² / e_b on bins − 1 degrees of freedom; p = Q((bins − 1)/2, χ²/2)
    chi2 = ((counts - expected).square() / expected).sum(-1).double()
    return torch.special.gammaincc(torch.full_like(chi2, (bins - 1) / 2), chi2 / 2)
