"""Simulation-based calibration: posteriors of data whose true z is known."""

from collections.abc import Callable

import torch
from torch import Tensor

from elboroom.device import require_room
from elboroom.errors import UsageError, require_positive
from elboroom.infer.observed import Array, check_data_and_mask
from elboroom.infer.posterior import Posterior
from elboroom.model.arguments import checked
from elboroom.model.vae import VAE

_ROUNDING = 1e-3  # draws of equal rows in one batch may differ by as much as this
_MOST_EQUAL = 0.5  # share of equal values: independent draws are rarely equal

Method = Callable[[VAE, Tensor, Tensor | None], Posterior]


@checked
@torch.no_grad()
def sbc_ranks(
    model: VAE,
    method: Method,
    *,
    rows: int,
    draws: int,
    generator: torch.Generator,
    mask: Array | None = None,
) -> Tensor:
    """Rank each true latent among posterior draws, (rows, D), in 0 … draws.

    (z, x) are drawn from the model. If `method` is exact, the ranks are uniform under every mask
    (Talts et al., 2018, theorem 1). A test of that needs independent ranks, so no two rows may be
    inferred with the same noise. This is checked by a copy of the first row.

    Args:
        model: model that z and x are drawn from.
        method: (model, x, mask) → posterior, such as `infer.grid`, or `infer.hmc` with the option
            independent_rows=True.
        rows: number of (z, x).
        draws: number of posterior draws per row; they should be nearly independent.
        generator: random generator of (z, x).
        mask: True where a pixel is seen, broadcast to (rows, *event); None for all.

    Raises:
        UsageError: if the mask does not fit, a count is not positive, or rows share the noise of
            their chains or particles.

    Example:
        >>> from functools import partial
        >>> from elboroom.evaluation import sbc_ranks
        >>> exact = partial(infer.grid, generator=generator)
        >>> ranks = sbc_ranks(model, exact, rows=20, draws=9, generator=generator)
        >>> ranks.shape, int(ranks.min()) >= 0, int(ranks.max()) <= 9
        (torch.Size([20, 2]), True, True)
    """
    require_positive(rows=rows, draws=draws)
    weight = next(model.parameters())
    require_room((rows, *model.event_shape), weight, rows=rows)
    require_room((draws, rows, model.latents), weight, draws=draws, rows=rows)
    z = model.prior(rows).sample(1, generator)[0]
    x, mask = check_data_and_mask(model, model.decode(z).sample(generator), mask)
    posterior = method(model, _with_copy(x), None if mask is None else _with_copy(mask))
    _require_independent_rows(posterior)
    return (posterior.sample(draws)[..., :-1, :] < z).sum(0)


def _with_copy(rows: Tensor) -> Tensor:
    """Append a copy of the first row, (B, …) → (B + 1, …)."""
    return torch.cat([rows, rows[:1]])


def _require_independent_rows(posterior: Posterior) -> None:
    """Check that the first row and the last one, which have the same data, have unlike draws."""
    stored = posterior.draws if posterior.particles is None else posterior.particles[0]
    if stored is None:
        return
    first, copy = stored[..., 0, :], stored[..., -1, :]
    if torch.isclose(first, copy, rtol=_ROUNDING, atol=_ROUNDING).double().mean() > _MOST_EQUAL:
        raise UsageError(
            "these rows cannot calibrate a method of inference",
            why="found the same draws for two rows of the same data: rows share their noise, so "
            "their ranks are not independent, and a right method fails the test of uniformity",
            fix="give independent_rows=True to infer.hmc or infer.ais; call another method once "
            "for each row",
        )


@checked
def uniformity(ranks: Tensor, draws: int, bins: int = 20) -> Tensor:
    """Compute the p-value of a χ² test of uniform ranks for each latent, (D,).

    Args:
        ranks: (N, D), in 0 … draws, as `sbc_ranks` returns them; rows must be independent.
        draws: the largest rank.
        bins: number of bins. Their widths differ by at most one rank; the expected counts are
            proportional to them.

    Raises:
        UsageError: if the ranks are no integers in 0 … draws, or there are more bins than ranks.

    Example:
        >>> from elboroom.evaluation import uniformity
        >>> even, low = torch.arange(100) % 20, torch.arange(100) % 10
        >>> uniformity(torch.stack([even, low], 1), draws=19).round(decimals=3)  # of two latents
        tensor([1., 0.], dtype=torch.float64)
    """
    _require_ranks(ranks, draws, bins)
    require_room((draws + 1,), ranks, draws=draws)
    require_room((*ranks.shape, bins), ranks, bins=bins)
    edges = torch.arange(draws + 1, device=ranks.device) * bins // (draws + 1)
    expected = torch.bincount(edges, minlength=bins) * len(ranks) / (draws + 1)
    counts = torch.nn.functional.one_hot(edges[ranks], bins).sum(0)
    # χ² = Σ_b (n_b − e_b)² / e_b on bins − 1 degrees of freedom; p = Q((bins − 1)/2, χ²/2)
    chi2 = ((counts - expected).square() / expected).sum(-1).double()
    return torch.special.gammaincc(torch.full_like(chi2, (bins - 1) / 2), chi2 / 2)


def _require_ranks(ranks: Tensor, draws: int, bins: int) -> None:
    """Check that ranks (N, D) can be counted in bins.

    Raises:
        UsageError: they cannot.
    """
    whole = ranks.ndim == 2 and not ranks.is_floating_point() and len(ranks) > 0
    if not whole or not 0 <= int(ranks.min()) <= int(ranks.max()) <= draws:
        raise UsageError(
            "these are no ranks among the draws",
            why=f"found {ranks.dtype} of shape {tuple(ranks.shape)}; expected integers (N, D) in "
            f"0 … {draws}",
            fix="give the result of sbc_ranks, and the same number of draws",
        )
    if not 2 <= bins <= draws + 1:
        raise UsageError(
            f"bins = {bins} does not fit the draws",
            why=f"found {draws + 1} possible ranks; expected 2 … {draws + 1} bins",
            fix="set bins to one of these, or draw more",
        )
