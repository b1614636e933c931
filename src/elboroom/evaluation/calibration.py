"""Simulation-based calibration: posteriors of data whose true z is known."""

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
    """Rank each true latent among posterior draws, (rows, D), in 0 … draws.

    (z, x) are drawn from the model. If `method` is exact, the ranks are uniform under every mask
    (Talts et al., 2018, theorem 1).

    Args:
        model: model that z and x are drawn from.
        method: (model, x, mask) → posterior, such as `partial(infer.hmc, generator=generator)`.
        rows: number of (z, x).
        draws: number of posterior draws per row; they should be nearly independent.
        generator: random generator of (z, x).
        mask: True where a pixel is seen, broadcast to (rows, *event); None for all.
    """
    z = model.prior(rows).sample(1, generator)[0]
    x = model.decode(z).sample(generator)
    return (method(model, x, mask).sample(draws) < z).sum(0)


def uniformity(ranks: Tensor, draws: int, bins: int = 20) -> Tensor:
    """Compute the p-value of a χ² test of uniform ranks for each latent, (D,).

    Args:
        ranks: (N, D), in 0 … draws, as `sbc_ranks` returns them.
        draws: the largest rank.
        bins: number of bins. Their widths differ by at most one rank; the expected counts are
            proportional to them.
    """
    edges = torch.arange(draws + 1, device=ranks.device) * bins // (draws + 1)
    expected = torch.bincount(edges, minlength=bins) * len(ranks) / (draws + 1)
    counts = torch.nn.functional.one_hot(edges[ranks], bins).sum(0)
    # χ² = Σ_b (n_b − e_b)² / e_b on bins − 1 degrees of freedom; p = Q((bins − 1)/2, χ²/2)
    chi2 = ((counts - expected).square() / expected).sum(-1).double()
    return torch.special.gammaincc(torch.full_like(chi2, (bins - 1) / 2), chi2 / 2)
