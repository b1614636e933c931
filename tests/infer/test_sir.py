import math

import pytest
import torch

from elboroom.errors import UsageError
from elboroom.infer.diagnostics import RELIABLE_K_HAT
from elboroom.infer.laplace import laplace
from elboroom.infer.posterior import VariationalPosterior
from elboroom.infer.sir import ParticlePosterior, sir, widening_for_half_ess
from elboroom.infer.target import Target
from elboroom.model.posteriors import DiagonalGaussian
from tests.support.oracles import LinearGaussian, assert_mean, assert_rejected, random_masks

ROWS, REPEATS = 6, 200


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def problem():
    exact = LinearGaussian(pixels=5, latents=2, seed=60)
    return exact, exact.data(ROWS, seed=61), random_masks(ROWS, 5, seed=62)


def proposed(exact, x, mask, stretch):
    """A diagonal fit off the posterior's mean, `stretch` times as wide."""
    mean, precision = exact.posterior(x, mask)
    std = stretch * torch.linalg.inv(precision).diagonal(dim1=1, dim2=2).sqrt()
    q = DiagonalGaussian(mean + 0.2 * std, std.log())
    return VariationalPosterior.of(Target.of(exact.model, x, mask), q, generator())


def repeated(stretch=1.5, particles=1_000):
    """Every row of the problem REPEATS times, each with draws of its own."""
    exact, x, mask = problem()
    x, mask = x.repeat(REPEATS, 1), mask.repeat(REPEATS, 1)
    fit = proposed(exact, x, mask, stretch)
    return sir(exact.model, x, mask, generator=generator(), proposal=fit, particles=particles)


def by_row(values):
    """(REPEATS · ROWS, …) → (REPEATS, ROWS, …)."""
    return values.unflatten(0, (REPEATS, ROWS))


def test_evidence_and_moments_are_those_of_the_linear_gaussian_model():
    exact, x, mask = problem()
    found = repeated()
    mean, precision = exact.posterior(x, mask)

    def check(found):
        assert_mean(by_row(found.log_evidence.exp()), exact.log_evidence(x, mask).exp())
        assert_mean(by_row(found.mean), mean)
        # the weighted covariance is too small by a part in the effective number of draws
        ess = found.diagnostics["ess"][:, None, None]
        assert_mean(by_row(found.covariance * ess / (ess - 1)), torch.linalg.inv(precision))

    check(found)
    target, z, log_weights = found.target, found.z, found.log_weights
    for bug in (target.log_joint(z), 0.9 * log_weights, log_weights + 0.02):
        wrong = ParticlePosterior(target, z, bug, generator())
        assert_rejected(lambda wrong=wrong: check(wrong))


def test_the_error_of_the_evidence_is_calibrated():
    exact, x, mask = problem()
    found = repeated()
    off = by_row(found.log_evidence) - exact.log_evidence(x, mask)
    spread = off.std(0)
    # the spread of 200 repeats is itself known to 5 %
    ratio = by_row(found.log_evidence_standard_error).mean(0) / spread

    def check(ratio):
        assert (ratio - 1).abs().max() < 4.5 / math.sqrt(2 * REPEATS)

    check(ratio)
    assert_rejected(lambda: check(ratio * math.sqrt(2)))


def test_weights_know_a_good_proposal_from_a_narrow_one():
    good, narrow = repeated(1.5), repeated(0.3)
    assert good.diagnostics["pareto_k"].max() < RELIABLE_K_HAT
    assert narrow.diagnostics["pareto_k"].median() > RELIABLE_K_HAT
    assert (good.diagnostics["ess"] > 200).all()
    assert narrow.diagnostics["ess"].median() < good.diagnostics["ess"].median()


def test_resampled_draws_follow_the_weights():
    exact, x, mask = problem()
    fit = proposed(exact, x, mask, 1.5)
    found = sir(exact.model, x, mask, generator=generator(), proposal=fit)
    draws = found.sample(20_000)
    assert draws.shape == (20_000, ROWS, 2)
    assert_mean(draws, found.mean)
    centred = draws - found.mean
    assert_mean(centred[..., :, None] * centred[..., None, :], found.covariance)
    assert_rejected(lambda: assert_mean(draws, fit.mean))


@pytest.mark.parametrize("latents", [1, 2, 5])
def test_widening_for_half_ess_costs_half_the_effective_draws_of_an_exact_proposal(latents):
    exact = LinearGaussian(pixels=6, latents=latents, seed=8)
    x, mask = exact.data(20, seed=9), random_masks(20, 6, seed=9)
    fit = laplace(exact.model, x, mask, generator=generator(), refine=False)
    options = {"proposal": fit, "particles": 20_000, "widen": widening_for_half_ess(fit.q)}
    found = sir(exact.model, x, mask, generator=generator(), **options)
    ess = found.diagnostics["ess"] / 20_000
    torch.testing.assert_close(ess, torch.full_like(ess, 0.5), atol=0.02, rtol=0)


def test_the_encoder_is_the_proposal_unless_another_is_given():
    exact, x, mask = problem()
    found = sir(exact.model, x, mask, generator=generator(), particles=100)
    log_weights = exact.model.log_weights(x, 100, mask, generator=generator())
    torch.testing.assert_close(found.log_weights, log_weights)
    bound = torch.logsumexp(log_weights, 0) - math.log(100)
    torch.testing.assert_close(found.log_evidence, bound)


def test_a_row_that_sees_nothing_gets_the_prior():
    assert not problem()[-1][0].any()
    found = repeated()
    assert_mean(by_row(found.log_evidence.exp())[:, 0], 1.0)
    assert_mean(by_row(found.mean)[:, 0], 0.0)


def test_draws_of_the_prior_bound_the_weights_of_a_proposal_that_misses_the_mode():
    exact, x, mask = problem()
    x, mask = x.repeat(REPEATS, 1), mask.repeat(REPEATS, 1)
    mean, _ = exact.posterior(x, mask)
    elsewhere = DiagonalGaussian(mean + 3, torch.full_like(mean, -2.0))
    fit = VariationalPosterior.of(Target.of(exact.model, x, mask), elsewhere, generator())

    def check(share):
        options = {"proposal": fit, "particles": 500, "prior_share": share}
        found = sir(exact.model, x, mask, generator=generator(), **options)
        assert found.z.shape == (500, len(x), 2)
        highest = exact.model.log_likelihood(x, found.z, mask) - math.log(0.2)
        assert (found.log_weights <= highest + 1e-9).all()
        expected = exact.log_evidence(x, mask)
        assert_mean(by_row((found.log_evidence - expected).exp()), 1.0)

    check(0.2)
    check(1.0)
    assert_rejected(lambda: check(0.0))


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_of_the_prior_outside_0_to_1_is_refused(share):
    exact, x, mask = problem()
    with pytest.raises(UsageError, match="outside of 0 to 1"):
        sir(exact.model, x, mask, generator=generator(), prior_share=share)


def test_permuting_rows_and_their_draws_permutes_the_answer():
    exact, x, mask = problem()
    fit = proposed(exact, x, mask, 1.5)
    found = sir(exact.model, x, mask, generator=generator(), proposal=fit)
    order = torch.randperm(ROWS, generator=generator(1))
    target = Target.of(exact.model, x[order], mask[order])
    log_q = DiagonalGaussian(fit.mean[order], fit.q.log_std[order]).log_prob(found.z[:, order])
    log_weights = target.log_joint(found.z[:, order]) - log_q
    torch.testing.assert_close(log_weights, found.log_weights[:, order])


def test_an_answer_carries_no_gradients_and_its_diagnostics_are_of_rows():
    exact, x, mask = problem()
    found = sir(exact.model, x, mask, generator=generator())
    assert not found.log_weights.requires_grad
    assert set(found.diagnostics) == {"pareto_k", "ess", "log_evidence_standard_error"}
    assert all(values.shape == (ROWS,) for values in found.diagnostics.values())


def test_what_does_not_fit_is_refused():
    exact, x, mask = problem()
    fit = proposed(exact, x[:4], mask[:4], 1.5)
    with pytest.raises(UsageError, match="this proposal does not fit"):
        sir(exact.model, x, mask, generator=generator(), proposal=fit)
    with pytest.raises(UsageError, match=r"its type is torch\.float32"):
        sir(exact.model, x, mask.float(), generator=generator())
    with pytest.raises(UsageError, match="does not broadcast"):
        sir(exact.model, x, mask[:3], generator=generator())
    with pytest.raises(UsageError, match="a seen value is NaN"):
        sir(exact.model, x * torch.nan, mask, generator=generator())
