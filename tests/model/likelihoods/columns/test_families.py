"""Each family of columns against SciPy, against its own derivatives, and in draws."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from elboroom.config.kinds import COLUMN_LIKELIHOODS
from elboroom.model.likelihoods.columns import FAMILIES as REGISTRY
from tests.support.column_cases import FAMILIES, SCALE, outputs, references, table_model
from tests.support.oracles import assert_mean, assert_rejected

CONTINUOUS = ("gaussian", "student-t", "log-normal")
each_family = pytest.mark.parametrize("name", FAMILIES)
MOST = 400  # counts beyond have no mass


def nodes(name, model, parameter):
    """Return x (N, 3) and weights (N, 3): of a sum for codes and counts, else an integral."""
    if name not in CONTINUOUS:
        sizes = [column.levels if column.levels > 1 else MOST for column in model.layout.columns]
        x = torch.arange(max(sizes))[:, None].expand(-1, 3).double()
        within = x < torch.tensor(sizes)
        return x.where(within, 0.0), within.double()
    v = torch.linspace(-9, 9, 4_001, dtype=torch.float64)[:, None]
    # y = l + σ sinh v reaches far into the tails
    y = parameter + SCALE * v.sinh().clamp(-40 if name == "log-normal" else -1e9, 1e9)
    step = SCALE * v.cosh() * 18 / 4_000 * model.spread
    x = model.location + model.spread * y
    if name == "log-normal":
        inside = (v.abs() < 4.3).double()  # sinh 4.3 = 37 standard deviations
        return x.clamp(max=300).exp(), step * x.clamp(max=300).exp() * inside
    return x, step


def log_probs(density, x):
    return density.log_prob_per_value(x)


def test_every_name_has_a_family_and_a_case():
    assert set(REGISTRY) == set(COLUMN_LIKELIHOODS) == set(FAMILIES)


def assert_like_scipy(name, density, model, parameter):
    expected = references(model, parameter)
    draws = [each.rvs(size=50, random_state=3) for each in expected]
    found = log_probs(density, torch.tensor(np.stack(draws, 1), dtype=torch.float64))
    for place, (each, x) in enumerate(zip(expected, draws, strict=True)):
        log = each.logpdf(x) if name in CONTINUOUS else np.log(each.pmf(x))
        np.testing.assert_allclose(found[:, place], log, rtol=1e-9, atol=1e-9)


@each_family
def test_log_densities_are_those_of_scipy(name):
    model = table_model(FAMILIES[name])
    parameter = outputs(model)
    assert_like_scipy(name, model(parameter), model, parameter)
    assert_rejected(lambda: assert_like_scipy(name, model(1.01 * parameter), model, parameter))


@each_family
def test_densities_sum_or_integrate_to_one(name):
    model = table_model(FAMILIES[name])
    parameter = outputs(model, seed=1)
    x, weights = nodes(name, model, parameter)

    def check(log_density):
        mass = (weights * log_density(x).exp()).sum(0)
        torch.testing.assert_close(mass, torch.ones_like(mass), rtol=1e-8, atol=1e-8)

    check(lambda x: log_probs(model(parameter), x))
    if name in CONTINUOUS:  # the planted bug: densities of standardised values
        density, volume = model(parameter), model.spread.log()
        assert_rejected(lambda: check(lambda x: log_probs(density, x) + volume))


@each_family
def test_the_score_is_the_derivative_of_the_log_density(name):
    model = table_model(FAMILIES[name])
    parameter = outputs(model, 4, 5).requires_grad_()
    x = model(parameter.detach()).sample(torch.Generator().manual_seed(0))[0]
    density = model(parameter)
    (slope,) = torch.autograd.grad(density.log_prob(x).sum(), parameter)
    torch.testing.assert_close(density.score(x), slope)
    assert (slope.abs() > 1e-6).any()


@each_family
def test_the_information_is_the_expected_square_of_the_score(name):
    model = table_model(FAMILIES[name])
    parameter = outputs(model, seed=2)
    x, weights = nodes(name, model, parameter)
    density = model(parameter)
    owner = model.layout.on(x.device).owner
    mass = (weights * log_probs(density, x).exp())[:, owner]
    expected = (mass * density.score(x).square()).sum(0)
    torch.testing.assert_close(density.information(), expected, rtol=1e-6, atol=1e-8)
    # and the score is 0 on average
    zero = torch.zeros_like(expected)
    torch.testing.assert_close((mass * density.score(x)).sum(0), zero, atol=1e-7, rtol=0)


@each_family
def test_draws_have_the_moments_of_scipy(name):
    model = table_model(FAMILIES[name])
    parameter = outputs(model, seed=3)
    draws = model(parameter.expand(20_000, -1)).sample(torch.Generator().manual_seed(1))
    expected = references(model, parameter)
    mean = torch.tensor([each.mean() for each in expected], dtype=torch.float64)
    variance = torch.tensor([each.var() for each in expected], dtype=torch.float64)

    def check(draws):
        assert_mean(draws, mean)
        assert_mean((draws - mean).square(), variance)

    check(draws)
    assert_rejected(lambda: check(mean + 1.1 * (draws - mean)))


@each_family
def test_draws_have_the_distribution_of_scipy(name):
    model = table_model(FAMILIES[name])
    parameter = outputs(model, seed=5)
    draws = model(parameter.expand(4_000, -1)).sample(torch.Generator().manual_seed(2)).numpy()
    for x, each in zip(draws.T, references(model, parameter), strict=True):
        if name in CONTINUOUS:
            assert stats.kstest(x, each.cdf).pvalue > 1e-3
            assert stats.kstest(x * 1.1, each.cdf).pvalue < 1e-3
        else:
            counts = np.bincount(x.astype(int), minlength=5)[:5]
            # a count is binomial
            p = each.pmf(np.arange(5))
            assert (np.abs(counts - 4_000 * p) <= 4.5 * np.sqrt(4_000 * p * (1 - p)) + 1e-9).all()


@each_family
def test_means_are_those_of_scipy_or_the_most_probable_levels(name):
    model = table_model(FAMILIES[name])
    parameter = outputs(model, seed=6)
    expected = [
        each.pmf(np.arange(5)).argmax() if REGISTRY[name].has_levels else each.mean()
        for each in references(model, parameter)
    ]
    np.testing.assert_allclose(model(parameter).mean, expected, rtol=1e-9)


@each_family
def test_unseen_values_reach_nothing(name):
    model = table_model(FAMILIES[name])
    parameter = outputs(model, 2, 4).requires_grad_()
    density = model(parameter)
    x = density.sample(torch.Generator().manual_seed(0))[0].detach()
    mask = torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) < 0.5
    torn = x.masked_fill(~mask, torch.nan)
    log_prob = density.log_prob(torn, mask)
    (slope,) = torch.autograd.grad(log_prob.sum(), parameter)
    torch.testing.assert_close(slope, density.score(torn, mask))
    assert slope.isfinite().all()
    unseen = ~model.density.parameter_mask(mask)
    assert (slope[:, unseen] == 0).all()
    assert (density.information(mask)[:, unseen] == 0).all()
    each = density.log_prob_per_value(x) * mask
    torch.testing.assert_close(log_prob, each.sum(-1))
    torch.testing.assert_close(density.log_prob_per_value(torn, mask), each)


@each_family
def test_a_grid_of_densities_is_that_of_each(name):
    model = table_model(FAMILIES[name])
    density = model(outputs(model, 6))
    x = model(outputs(model, 4, seed=1)).sample(torch.Generator().manual_seed(0))
    mask = torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) < 0.5
    wide = replace(density, parameter=density.parameter[:, None])
    for seen in (None, mask):
        torch.testing.assert_close(density.log_prob_table(x, seen), wide.log_prob(x, seen))


@pytest.mark.parametrize("name", ["poisson", "negative-binomial"])
@pytest.mark.parametrize("output", [-1e4, 1e4])
def test_no_output_makes_a_rate_infinite(name, output):
    model = table_model(FAMILIES[name]).float()
    parameter = torch.full((1, 3), output, requires_grad=True)
    density, x = model(parameter), torch.tensor([[0.0, 3.0, 1e6]])
    log_prob = density.log_prob(x)
    (slope,) = torch.autograd.grad(log_prob.sum(), parameter)
    found = density.mean, log_prob, slope, density.information()
    assert all(values.isfinite().all() for values in found)


@pytest.mark.parametrize("name", ["poisson", "negative-binomial"])
def test_large_counts_keep_their_digits_in_float32(name):
    model = table_model(FAMILIES[name])
    model.location.copy_(torch.tensor([14.0, 9.0, 16.0]))
    if model.noise is not None:
        model.noise.initial.fill_(1e-4)  # r = 1e8
    parameter = outputs(model, 5)
    x = model(parameter).sample(torch.Generator().manual_seed(0))
    wide, found = model(parameter).log_prob(x), model.float()(parameter.float()).log_prob(x.float())
    torch.testing.assert_close(found.double(), wide, rtol=0.02, atol=0.02)
