"""p(x, z) in Pyro: its densities are the model's, and NUTS finds its posterior."""

import pytest
import torch

from elboroom import infer
from elboroom.errors import UsageError
from elboroom.exports import pyro_model
from tests.support.bridge_cases import CASES, case
from tests.support.oracles import assert_mean, assert_rejected
from tests.support.samplers import assert_posterior

pyro = pytest.importorskip("pyro")


def traced(program, z, *data):
    found = pyro.poutine.trace(pyro.poutine.condition(program, {"z": z})).get_trace(*data)
    found.compute_log_prob()
    return found


@pytest.mark.parametrize("name", CASES)
def test_the_log_density_and_its_gradient_are_the_models(name):
    model, x, mask = CASES[name]()
    z = model.prior(3).sample(1, torch.Generator().manual_seed(1))[0].requires_grad_()
    expected = model.log_joint(x, z, mask).sum()
    (gradient,) = torch.autograd.grad(expected, z)

    def check(mask):
        found = traced(pyro_model(model), z, x.nan_to_num(1), mask).log_prob_sum()
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        (slope,) = torch.autograd.grad(found, z)
        torch.testing.assert_close(slope, gradient, rtol=1e-5, atol=1e-5)

    check(mask)
    assert_rejected(lambda: check(torch.ones_like(mask)))  # planted: the mask is ignored


def test_each_row_has_its_own_log_likelihood_and_a_gap_is_no_number():
    model, x, mask = CASES["gaussian"]()
    z = torch.randn(3, 2, generator=torch.Generator().manual_seed(1))
    found = traced(pyro_model(model), z, x, mask)
    torch.testing.assert_close(found.nodes["x"]["log_prob"], model.log_likelihood(x, z, mask))
    torch.testing.assert_close(found.nodes["z"]["log_prob"], model.prior(3).log_prob(z))


@pytest.mark.parametrize("parallel", [False, True])
def test_draws_of_z_and_x_are_those_of_the_model(parallel):
    model, *_ = CASES["mixture"]()
    pyro.set_rng_seed(0)
    predictive = pyro.infer.Predictive(pyro_model(model), num_samples=200, parallel=parallel)
    drawn = predictive(rows=2)
    assert drawn["z"].shape == (200, 2, 2)
    assert drawn["x"].shape == (200, 2, 6)
    z, x = (drawn[name].flatten(0, 1) for name in "zx")
    assert_mean(z, model.prior(1).mean[0])
    assert_rejected(lambda: assert_mean(z, model.prior(1).mean[0] + 0.5))
    assert_mean(x - model.decode(z).mean, 0.0)


def test_the_weights_stay_as_they_were():
    model, x, mask = case()
    z, program = torch.ones(3, 2), pyro_model(model)
    before = traced(program, z, x, mask).log_prob_sum()
    for p in model.decoder.parameters():
        p.data += 1
    assert traced(program, z, x, mask).log_prob_sum() == before


def test_data_of_another_shape_are_refused():
    model, *_ = case()
    with pytest.raises(UsageError, match="this x does not fit the model"):
        traced(pyro_model(model), torch.ones(3, 2), torch.ones(3, 5))


@pytest.mark.full
def test_nuts_finds_the_exact_posterior_of_a_half_seen_row():
    model, x, mask = case((1, 4, 4))
    mask = torch.zeros_like(mask)
    mask[..., :2, :] = True
    x = x.nan_to_num(1)
    pyro.set_rng_seed(0)
    sampler = pyro.infer.MCMC(
        pyro.infer.NUTS(pyro_model(model)),
        num_samples=800,
        warmup_steps=200,
        disable_progbar=True,
    )
    sampler.run(x, mask)
    found = sampler.get_samples(group_by_chain=True)["z"].transpose(0, 1)
    g = torch.Generator().manual_seed(0)
    assert_posterior(found, infer.grid(model, x, mask, generator=g))
    ignored = infer.grid(model, x, generator=g)
    assert_rejected(lambda: assert_posterior(found, ignored))


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"rows": 0}, "rows must be positive"),
        ({"rows": 2.5}, "rows"),
        ({"rows": 3, "mask": torch.ones(3, 6, dtype=torch.bool)}, "a mask was given without data"),
    ],
)
def test_rows_that_cannot_be_drawn_are_refused(given, match):
    with pytest.raises(UsageError, match=match):
        pyro_model(case()[0])(**given)
