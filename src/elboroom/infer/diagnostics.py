"""Diagnostics of importance weights (K, B) and of Markov chains (T, C, B, D), of all rows at once.

They are the numbers of arviz-stats, which computes them one row and latent after another.
"""

import math

import torch
from torch import Tensor

from elboroom.errors import UsageError

_FLAT = 1e-3  # nats: smaller differences between weights of a float32 density are rounding
_LEAST = 1e-300
_LEAST_TAIL = 5
_ROWS = 256  # rows that are fitted at a time
_PRIOR = 10.0  # weight of the prior of k, in excesses

LEAST_DRAWS = 4
"""The number of draws of a chain that R̂ and the effective sample size need."""

RELIABLE_K_HAT = 0.7
"""The k̂ below which importance sampling is reliable (Vehtari et al., 2024)."""


LEAST_ESS = 50
"""The effective sample size below which the weights of a few draws decide."""

MIXED_RHAT = 1.01
"""The R̂ below which chains have mixed (Vehtari et al., 2021, section 4)."""


def pareto_k(log_weights: Tensor) -> Tensor:
    """Estimate the shape k̂ of the weights' tail, (K, B) → (B,): reliable below `RELIABLE_K_HAT`.

    Vehtari et al., *Pareto smoothed importance sampling* (2024). It needs hundreds of draws. The
    result is −∞ if the largest log-weights differ by less than 0.001 nats. It is ∞ if their spread
    exceeds the range of a float, or if there are too few draws for a tail of five.
    """
    # M = ⌈min(S/5, 3 √S)⌉
    tail = math.ceil(min(len(log_weights) / 5, 3 * math.sqrt(len(log_weights))))
    if tail < _LEAST_TAIL:
        return torch.full_like(log_weights[0], math.inf)
    largest = log_weights.detach().cpu().double().topk(tail + 1, 0).values.T.flip(-1)
    weights = (largest - largest[:, -1:]).exp()
    excess = weights[:, 1:] - weights[:, :1]
    k_hat = torch.full_like(excess[:, 0], math.inf)
    fitted = excess[:, _quartile(tail)] > _LEAST  # the fit divides by this excess
    if fitted.any():
        k_hat[fitted] = torch.cat([_pareto_shape(rows) for rows in excess[fitted].split(_ROWS)])
    k_hat[largest[:, -1] - largest[:, 1] < _FLAT] = -math.inf
    return k_hat.to(log_weights)


def _pareto_shape(excess: Tensor) -> Tensor:
    """Fit the shape k of a generalised Pareto law to n ascending excesses, (B, n) → (B,).

    This is the quasi-Bayesian estimate of Zhang & Stephens, *A New and Efficient Estimation Method
    for the Generalized Pareto Distribution* (2009), whose k has the opposite sign. It is drawn
    towards ½ with the weight of ten excesses (Vehtari et al., 2024, appendix C).
    """
    n = excess.shape[-1]
    m = 30 + math.isqrt(n)
    steps = 1 - (m / (torch.arange(m, dtype=excess.dtype) + 0.5)).sqrt()
    # θ_j = 1/y_n + (1 − √(m / (j − ½))) / (3 y*),  y* the lower quartile
    theta = 1 / excess[:, -1:] + steps / (3 * excess[:, _quartile(n), None])
    k = (-theta[..., None] * excess[:, None]).log1p().mean(-1)
    # log likelihood of θ_j at its own k_j = 1/n Σ_i log(1 − θ_j y_i)
    log_likelihood = n * ((-theta / k).log() - k - 1)
    mean = (theta * log_likelihood.softmax(-1)).sum(-1, keepdim=True)
    return (n * (-mean * excess).log1p().mean(-1) + 0.5 * _PRIOR) / (n + _PRIOR)


def _quartile(n: int) -> int:
    """Return the index of the lower quartile among n ascending values."""
    return max(0, int(n / 4 + 0.5) - 1)


def importance_ess(log_weights: Tensor) -> Tensor:
    """Compute the effective sample size (Σ w)² / Σ w², between 1 and K: (K, B) → (B,)."""
    # log ESS = 2 log Σ w − log Σ w²
    log_ess = 2 * torch.logsumexp(log_weights, 0) - torch.logsumexp(2 * log_weights, 0)
    return log_ess.exp()


def split_rhat(chains: Tensor) -> Tensor:
    """Compute the rank-normalised split R̂ of chains, (T, C, B, D) → (B, D); 1 when mixed.

    It is ∞ for chains that never moved, and NaN for those with a draw that is not finite. Vehtari
    et al., *Rank-normalization, folding, and localization* (2021).

    Raises:
        UsageError: if the chains have fewer than four draws.
    """
    _require_draws(chains)
    halves = _halves(chains)
    # Chains may agree about the location, but not about the spread: the folded ones see that.
    folded = (halves - _median(halves)).abs()
    found = torch.maximum(_rhat(_normal_scores(halves)), _rhat(_normal_scores(folded)))
    return _judged(found, chains, of_still=math.inf)


def _rhat(chains: Tensor) -> Tensor:
    """Compute √(var⁺ / W) of chains, (B, D, C, T) → (B, D): equations 1 to 4 of that paper."""
    length, within = chains.shape[-1], chains.var(-1).mean(-1)
    return ((length - 1) / length + chains.mean(-1).var(-1) / within).sqrt()


def chain_ess(chains: Tensor) -> Tensor:
    """Compute the bulk effective sample size of chains, (T, C, B, D) → (B, D).

    It is 1 for chains that never moved, and NaN for those with a draw that is not finite. Vehtari
    et al. (2021), section 3.2, with the initial monotone sequence of Geyer, *Practical Markov Chain
    Monte Carlo* (1992).

    Raises:
        UsageError: if the chains have fewer than four draws.
    """
    _require_draws(chains)
    scores = _normal_scores(_halves(chains))
    draws = scores.shape[-2:].numel()
    # τ = −1 + 2 Σ_t ρ_t: no less than 1 / log₁₀ of the number of draws
    tau = _sum_of_correlations(_autocorrelation(scores)).clamp(min=1 / math.log10(draws))
    return _judged(draws / tau, chains, of_still=1.0)


def _autocorrelation(chains: Tensor) -> Tensor:
    """Estimate the correlation ρ_t at each lag from all chains, (B, D, C, T) → (B, D, T)."""
    length, mean = chains.shape[-1], chains.mean(-1, keepdim=True)
    power = torch.fft.rfft(chains - mean, 2 * length).abs().square().mean(-2)
    covariance = torch.fft.irfft(power, 2 * length)[..., :length] / length
    # ρ_t = 1 − (W − s_t) / var⁺,  var⁺ = (T − 1)/T W + var of the chains' means
    variance = covariance[..., :1]
    within = variance * length / (length - 1)
    return 1 - (within - covariance) / (variance + mean.var(-2))


def _sum_of_correlations(rho: Tensor) -> Tensor:
    """Compute −1 + 2 Σ_t ρ_t while pairs of lags stay positive, (B, D, T) → (B, D)."""
    last = max(0, (rho.shape[-1] - 3) // 2)
    even, odd = rho[..., : 2 * last + 2].unflatten(-1, (-1, 2)).unbind(-1)
    even = torch.cat([torch.ones_like(even[..., :1]), even[..., 1:]], -1)
    pairs = even + odd
    positive = (pairs[..., :last] > 0).cumprod(-1)
    decreasing = pairs.cummin(-1).values[..., :last] * positive
    # The even lag that follows counts once: if it, or its pair, is positive.
    end = positive.sum(-1, keepdim=True)
    rest = even.gather(-1, end)
    rest = torch.where(pairs.gather(-1, end) < 0, rest.clamp(min=0), rest)
    return 2 * decreasing.sum(-1) - 1 + rest[..., 0]


def _halves(chains: Tensor) -> Tensor:
    """Split each chain into halves, without the middle draw: (T, C, B, D) → (B, D, 2C, ⌊T/2⌋)."""
    half = len(chains) // 2
    halves = torch.cat([chains[:half], chains[-half:]], 1).detach().double()
    return halves.permute(2, 3, 1, 0).contiguous()


def _median(chains: Tensor) -> Tensor:
    """Compute the median of an even number of values, (B, D, C, T) → (B, D, 1, 1)."""
    values = chains.flatten(-2)
    middle = values.shape[-1] // 2
    found = values.kthvalue(middle).values + values.kthvalue(middle + 1).values
    return 0.5 * found[..., None, None]


def _normal_scores(chains: Tensor) -> Tensor:
    """Replace values (B, D, C, T) by the normal quantiles of their ranks; ties share a rank."""
    values, order = chains.flatten(-2).sort(-1)
    place = torch.arange(values.shape[-1], device=values.device).expand_as(values)
    begins = torch.ones_like(values, dtype=torch.bool)
    begins[..., 1:] = values[..., 1:] != values[..., :-1]
    ends = begins.roll(-1, -1)
    first = place.where(begins, 0).cummax(-1).values
    last = place.where(ends, values.shape[-1]).flip(-1).cummin(-1).values.flip(-1)
    # Blom (1958): Φ⁻¹((r − 3/8) / (S + 1/4)) of rank r, from 1, among S
    rank = 0.5 * (first + last).double() + 1
    score = torch.special.ndtri((rank - 0.375) / (values.shape[-1] + 0.25))
    return torch.empty_like(score).scatter_(-1, order, score).view_as(chains)


def _require_draws(chains: Tensor) -> None:
    """Check that chains (T, …) are long enough for R̂ and for an effective sample size.

    Raises:
        UsageError: if T < 4.
    """
    if len(chains) < LEAST_DRAWS:
        raise UsageError(
            "the mixing of these chains is unknown",
            why=f"found draws = {len(chains)}; R̂ and the effective sample size compare the halves "
            f"of each chain, so expected {LEAST_DRAWS} or more",
            fix=f"give draws={LEAST_DRAWS} or more; some hundreds are usual",
        )


def _judged(found: Tensor, chains: Tensor, *, of_still: float) -> Tensor:
    """Return what was found of chains (T, C, B, D) that moved, and are finite, (B, D).

    Those that never moved have a value of their own, and those that are not finite NaN.
    """
    still = (chains == chains[:1]).all(0).all(0)
    unknown = ~chains.isfinite().all(0).all(0)
    return found.to(chains).masked_fill(still, of_still).masked_fill(unknown, math.nan)
