import math

import numpy as np
import pytest
import torch
from arviz_stats.base.array import array_stats

from elboroom.errors import UsageError
from elboroom.infer.diagnostics import (
    RELIABLE_K_HAT,
    chain_ess,
    importance_ess,
    pareto_k,
    split_rhat,
)
from tests.support.oracles import assert_mean, assert_rejected

K, ROWS = 4_000, 60


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def log_weights(std, k=K, rows=ROWS):
    """log N(z; 0, 1) / N(z; 0, s²) of draws of the latter: a tail with shape k = 1 − s² if s < 1.

    With z = s ε, log w = −½ (s² − 1) ε² + log s, and P(w > t) falls as t^{−1/(1 − s²)}.
    """
    eps = noise(k, rows)
    return 0.5 * (1 - std**2) * eps.square() + math.log(std)


@pytest.mark.parametrize("std", [0.4, 0.6, 0.8])
def test_pareto_k_is_the_shape_of_a_known_tail(std):
    weights = log_weights(std)

    def check(weights):
        # A finite tail of a Gaussian is lighter than its limit, by up to 0.1.
        k_hat = pareto_k(weights)
        assert k_hat.shape == (ROWS,)
        assert abs(k_hat.mean().item() - (1 - std**2)) < 0.1
        assert k_hat.std() < 0.2

    check(weights)
    assert_rejected(lambda: check(-weights))


def published_k_hat(log_weights, tail):
    """Zhang & Stephens (2009), with the prior of Vehtari et al. (2024, appendix C), in NumPy."""
    w = np.sort(np.exp(log_weights - log_weights.max()))
    y = w[-tail:] - w[-tail - 1]
    m = 30 + int(np.sqrt(tail))
    quartile = y[int(np.floor(tail / 4 + 0.5)) - 1]
    theta = 1 / y[-1] + (1 - np.sqrt(m / (np.arange(1, m + 1) - 0.5))) / (3 * quartile)
    k = np.array([-np.mean(np.log1p(-t * y)) for t in theta])
    profile = tail * (np.log(theta / k) + k - 1)
    share = np.array([1 / np.sum(np.exp(profile - each)) for each in profile])
    k_hat = np.mean(np.log1p(-np.sum(theta * share) * y))
    return (tail * k_hat + 10 * 0.5) / (tail + 10)


@pytest.mark.parametrize("k", [100, 101, 225, 226, 500, 1_000, 4_000])
@pytest.mark.parametrize("std", [0.05, 0.5, 0.9, 1.5])
def test_pareto_k_is_that_of_the_paper(k, std):
    """The tail has the M = ⌈min(S/5, 3 √S)⌉ largest of S weights."""
    weights = log_weights(std, k=k, rows=5)

    def check(tail):
        for ours, row in zip(pareto_k(weights).tolist(), weights.T.numpy(), strict=True):
            assert abs(ours - published_k_hat(row, tail)) < 1e-8

    exact = min(k / 5, 3 * math.sqrt(k))
    check(math.ceil(exact))
    if exact % 1:
        assert_rejected(lambda: check(math.floor(exact)))


@pytest.mark.parametrize("k", [100, 225, 400, 10_000])
def test_pareto_k_is_that_of_arviz(k):
    """Of counts for which S/5 or 3 √S is whole: arviz-stats rounds down."""
    weights = log_weights(0.5, k=k, rows=5)
    expected = array_stats.psislw(-weights.numpy(), axis=0)[1]
    torch.testing.assert_close(pareto_k(weights), torch.from_numpy(expected), atol=1e-8, rtol=0)


@pytest.mark.parametrize("k", [1, 2, 20])
def test_pareto_k_of_too_few_draws_is_infinite(k):
    assert pareto_k(noise(k, 3)).tolist() == [math.inf] * 3
    assert pareto_k(noise(21, 3)).isfinite().all()


def test_pareto_k_of_weights_beyond_a_float_is_infinite():
    assert pareto_k(1e4 * noise(500, 3)).tolist() == [math.inf] * 3


def test_pareto_k_separates_good_proposals_from_bad_ones():
    assert (pareto_k(log_weights(0.95)) < RELIABLE_K_HAT).all()
    assert (pareto_k(log_weights(0.1)) > RELIABLE_K_HAT).double().mean() > 0.9
    # Weights of a wide proposal are bounded: k < 0
    assert (pareto_k(log_weights(1.5)) < 0.1).all()


def test_pareto_k_does_not_see_the_scale_of_the_weights_nor_their_order():
    weights = log_weights(0.6)
    order = torch.randperm(K, generator=torch.Generator().manual_seed(1))
    for same in (weights + 700, weights - 5_000, weights[order]):
        torch.testing.assert_close(pareto_k(same), pareto_k(weights), atol=1e-6, rtol=0)
    assert pareto_k(weights.float()).dtype == torch.float32


def test_pareto_k_of_each_row_is_its_own():
    weights = torch.cat([log_weights(0.5, rows=2), log_weights(1.2, rows=2)], 1)
    together = pareto_k(weights)
    alone = torch.cat([pareto_k(weights[:, [row]]) for row in range(4)])
    torch.testing.assert_close(together, alone)


def test_pareto_k_of_equal_weights_is_the_least_there_is():
    # A q that equals the posterior has weights that differ by rounding at the most.
    weights = torch.stack([torch.zeros(200), torch.full((200,), -81.3)], 1).double()
    assert (pareto_k(weights) < 0).all()
    assert (pareto_k(weights + 1e-15 * noise(200, 2)) < RELIABLE_K_HAT).all()


def test_importance_ess_of_known_weights():
    one = torch.full((8,), -torch.inf)
    one[3] = -40.0
    cases = torch.stack(
        [
            torch.full((8,), 30.0),
            one,
            torch.tensor([1.0, 1, 1, 1, 0, 0, 0, 0]).log(),
            torch.tensor([3.0, 1, 0, 0, 0, 0, 0, 0]).log(),
        ],
        1,
    )
    expected = torch.tensor([8.0, 1.0, 4.0, 16 / 10])
    torch.testing.assert_close(importance_ess(cases), expected)


def test_importance_ess_of_a_gaussian_proposal():
    # E[w]² / E[w²] has a closed form: with q = N(0, s²), E[w²] = s² / √(2 s² − 1)
    std = 1.3
    found = importance_ess(log_weights(std, k=20_000)) / 20_000
    assert_mean(found, math.sqrt(2 * std**2 - 1) / std**2)
    assert_rejected(lambda: assert_mean(found, (2 * std**2 - 1) / std**4))


def chains(draws=500, count=4, rows=3, latents=2, rho=0.0, seed=0):
    """Stationary AR(1) chains with variance one, (T, C, B, D)."""
    eps = noise(draws, count, rows, latents, seed=seed)
    states = [eps[0]]
    for step in eps[1:]:
        states.append(rho * states[-1] + math.sqrt(1 - rho**2) * step)
    return torch.stack(states)


def test_rhat_is_one_for_independent_draws():
    found = split_rhat(chains(rows=20))
    assert found.shape == (20, 2)
    assert ((found - 1).abs() < 0.02).all()


@pytest.mark.parametrize("fault", ["apart", "wider", "drifting"])
def test_rhat_finds_chains_that_have_not_mixed(fault):
    z = chains()
    if fault == "apart":
        z[:, 0, 1, 0] += 3
    elif fault == "wider":  # same mean: only the folded statistic sees it
        z[:, 0, 1, 0] *= 5
    else:  # all alike: only the split halves see it
        z[:, :, 1, 0] += torch.linspace(0, 4, len(z))[:, None]
    found = split_rhat(z)
    assert found[1, 0] > 1.1
    found[1, 0] = 1
    assert (found < 1.03).all()


def test_chain_ess_is_the_number_of_independent_draws():
    found = chain_ess(chains(rows=40)) / 2_000
    assert found.shape == (40, 2)
    assert abs(found.mean().item() - 1) < 0.05
    assert ((found - 1).abs() < 0.35).all()


@pytest.mark.parametrize("rho", [0.5, 0.8, -0.4])
def test_chain_ess_of_an_autoregression_is_smaller_by_the_known_factor(rho):
    found = chain_ess(chains(draws=2_000, rows=15, rho=rho)) / 8_000

    def check(factor):
        assert abs(found.mean().item() / factor - 1) < 0.05
        assert ((found / factor - 1).abs() < 0.35).all()

    check((1 - rho) / (1 + rho))
    assert_rejected(lambda: check(1 - abs(rho)))


@pytest.mark.parametrize("draws", [4, 5, 7, 10, 11, 14, 201])
@pytest.mark.parametrize("rho", [-0.6, 0.0, 0.95])
def test_rhat_and_ess_are_those_of_arviz_with_ties_too(draws, rho):
    z = chains(draws=draws, rows=30, rho=rho, seed=draws)
    repeats = torch.rand(z[1:].shape, generator=torch.Generator().manual_seed(1)) < 0.3
    z[1:] = z[:-1].where(repeats, z[1:])
    z[:, :, :5] = z[:, :, :5].round(decimals=1)
    for ours, peer in ((split_rhat, array_stats.rhat), (chain_ess, array_stats.ess)):
        expected = torch.from_numpy(peer(z.numpy(), chain_axis=1, draw_axis=0))
        torch.testing.assert_close(ours(z), expected, rtol=1e-8, atol=0)
        assert not torch.allclose(ours(z.flip(1)[:, 1:]), expected, rtol=1e-3)


@pytest.mark.parametrize("diagnostic", [split_rhat, chain_ess])
def test_chains_that_are_too_short_are_refused_and_four_draws_are_not(diagnostic):
    for draws in (1, 2, 3):
        with pytest.raises(UsageError, match=f"found draws = {draws}"):
            diagnostic(chains(draws=draws))
    assert diagnostic(chains(draws=4)).isfinite().all()


@pytest.mark.parametrize("apart", [True, False])
def test_chains_that_never_move_have_not_mixed(apart):
    z = chains(draws=100, rows=2)
    z[:, :, 1, 0] = torch.arange(4.0).double() * apart
    rhat, ess = split_rhat(z), chain_ess(z)
    assert rhat[1, 0] == math.inf
    assert ess[1, 0] == 1
    rhat[1, 0], ess[1, 0] = 1, 400
    assert (rhat < 1.1).all()
    assert (ess > 200).all()


@pytest.mark.parametrize("diagnostic", [split_rhat, chain_ess])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_chains_with_a_draw_that_is_not_finite_are_not_judged(diagnostic, bad):
    z = chains(draws=100, rows=2)
    z[50, 1, 1, 0] = bad
    found = diagnostic(z)
    assert found[1, 0].isnan()
    assert found.isnan().sum() == 1


@pytest.mark.parametrize("diagnostic", [split_rhat, chain_ess])
def test_every_coordinate_of_every_row_is_judged_by_itself(diagnostic):
    z = chains(rho=0.3)
    z[:, 0, 2, 1] += 2
    together = diagnostic(z)
    for row in range(3):
        for latent in range(2):
            alone = diagnostic(z[:, :, row, latent][..., None, None])
            torch.testing.assert_close(alone[0, 0], together[row, latent])
    assert diagnostic(z.float()).dtype == torch.float32
