"""p(x, z) in NumPyro: its densities are the model's, and NUTS finds its posterior."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from elboroom import infer
from elboroom.errors import UsageError
from elboroom.exports import jax_decoder, numpyro_model
from elboroom.model.vae import VAE
from tests.support.bridge_cases import CASES, case, with_dropout
from tests.support.oracles import Affine, Constant, assert_mean, assert_rejected
from tests.support.samplers import assert_posterior

numpyro = pytest.importorskip("numpyro")
jax = pytest.importorskip("jax")


def value_and_gradient(model, x, mask, z):
    here = z.clone().requires_grad_()
    value = model.log_joint(x, here, mask)
    return value, torch.autograd.grad(value.sum(), here)[0]


def theirs(program, x, mask, z):
    """log p(x_seen, z) of all rows together, and its gradient."""

    def density(z):
        return numpyro.infer.util.log_density(program, (x, mask), {}, {"z": z})[0]

    return jax.value_and_grad(density)(z.numpy())


def close(found, expected):
    found = torch.from_numpy(np.array(found)).to(expected)
    scale = expected.abs().max().item()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize("name", CASES)
def test_the_log_density_and_its_gradient_are_the_models(name):
    model, x, mask = CASES[name]()
    z = model.prior(3).sample(1, torch.Generator().manual_seed(1))[0]
    value, gradient = value_and_gradient(model, x, mask, z)

    def check(mask):
        found = theirs(numpyro_model(model), x.nan_to_num(1).numpy(), mask.numpy(), z)
        close(found[0], value.sum())
        close(found[1], gradient)

    check(mask)
    assert_rejected(lambda: check(torch.ones_like(mask)))  # planted: the mask is ignored


def test_each_row_has_its_own_log_likelihood_and_a_gap_is_no_number():
    model, x, mask = CASES["gaussian"]()
    z = torch.randn(5, 3, 2, generator=torch.Generator().manual_seed(1))
    found = numpyro.infer.log_likelihood(
        numpyro_model(model), {"z": z.numpy()}, x.numpy(), mask.numpy()
    )
    close(found["x"], model.log_likelihood(x, z, mask))


def test_draws_of_z_and_x_are_those_of_the_model():
    model, *_ = CASES["mixture"]()
    program = numpyro_model(model)
    drawn = numpyro.infer.Predictive(program, num_samples=200)(jax.random.PRNGKey(0), rows=2)
    assert drawn["z"].shape == (200, 2, 2)
    assert drawn["x"].shape == (200, 2, 6)
    z, x = (torch.from_numpy(np.array(drawn[name])).flatten(0, 1) for name in "zx")
    assert_mean(z, model.prior(1).mean[0])
    assert_rejected(lambda: assert_mean(z, model.prior(1).mean[0] + 0.5))
    assert_mean(x - model.decode(z).mean, 0.0)


def test_the_weights_stay_as_they_were():
    model, x, mask = case()
    z = torch.ones(3, 2)
    program, decode = numpyro_model(model), jax_decoder(model)
    before = theirs(program, x.numpy(), mask.numpy(), z)[0], decode(z.numpy())
    for p in model.decoder.parameters():
        p.data += 1
    after = theirs(program, x.numpy(), mask.numpy(), z)[0], decode(z.numpy())
    assert before[0] == after[0]
    assert np.array_equal(before[1], after[1])


def test_the_decoder_maps_and_pulls_back_under_jit_and_vmap():
    model, *_ = CASES["conv"]()
    z = torch.randn(4, 3, 2, generator=torch.Generator().manual_seed(1))
    decode = jax_decoder(model)
    close(jax.jit(jax.vmap(decode))(z.numpy()), model.decoder_output(z))
    here = z[0].clone().requires_grad_()
    weights = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    (expected,) = torch.autograd.grad((model.decoder_output(here) * weights).sum(), here)
    found = jax.grad(lambda z: (decode(z) * weights.numpy()).sum())(z[0].numpy())
    close(found, expected)
    assert_rejected(lambda: close(found, -expected))


@pytest.mark.parametrize("z", [[1, 0], np.array([1, 0]), np.array([True, False])])
def test_whole_numbers_are_decoded_as_real_ones(z):
    decode = jax_decoder(case()[0])
    expected = decode(np.array([1.0, 0.0], np.float32))
    assert np.abs(expected).max() > 0.01
    assert np.array_equal(decode(z), expected)
    half = decode(jax.numpy.asarray(z, jax.numpy.bfloat16))
    assert np.array_equal(half, expected.astype(jax.numpy.bfloat16))


@pytest.mark.parametrize("z", [np.ones(3), np.float32(1), np.ones((2, 1))])
def test_another_number_of_latents_is_refused_at_once(z):
    with pytest.raises(UsageError, match=r"expected \(..., 2\)"):
        jax_decoder(case()[0])(z)


def test_an_own_decoder_works_too():
    g = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(5, 2, generator=g), torch.randn(5, generator=g)
    zeros = torch.zeros(2)
    model = VAE(Constant(zeros, zeros), nn.Sequential(Affine(weight, bias), nn.GELU()), 2).eval()
    z = torch.randn(3, 2, generator=g)
    x, mask = torch.ones(3, 5), torch.rand(3, 5, generator=g) < 0.5
    value, gradient = value_and_gradient(model, x, mask, z)
    found = theirs(numpyro_model(model), x.numpy(), mask.numpy(), z)
    close(found[0], value.detach().sum())
    close(found[1], gradient)


def test_data_that_jax_traces_are_refused():
    model, x, mask = case()
    program = numpyro_model(model)
    with pytest.raises(UsageError, match="x is not known yet"):
        jax.jit(lambda x: theirs(program, x, mask.numpy(), torch.ones(3, 2)))(x.numpy())


def test_data_of_another_shape_are_refused():
    with pytest.raises(UsageError, match="this x does not fit the model"):
        theirs(numpyro_model(case()[0]), np.ones((3, 5)), None, torch.ones(3, 2))


def test_a_model_in_training_mode_is_taken_in_evaluation_mode():
    model = with_dropout()
    z, x = torch.ones(3, 2), torch.ones(3, 5)
    expected = copy.deepcopy(model).eval().log_joint(x, z).detach().sum()
    found = theirs(numpyro_model(model), x.numpy(), None, z)
    close(found[0], expected)
    assert model.training
    assert_rejected(lambda: close(found[0], model.log_joint(x, z).detach().sum()))


@pytest.mark.full
def test_nuts_finds_the_exact_posterior_of_a_half_seen_row():
    model, x, mask = case((1, 4, 4))
    mask = torch.zeros_like(mask)
    mask[..., :2, :] = True
    sampler = numpyro.infer.MCMC(
        numpyro.infer.NUTS(numpyro_model(model)),
        num_warmup=200,
        num_samples=500,
        num_chains=4,
        chain_method="vectorized",
        progress_bar=False,
    )
    x = x.nan_to_num(1)
    sampler.run(jax.random.PRNGKey(0), x.numpy(), mask.numpy())
    draws = np.array(sampler.get_samples(group_by_chain=True)["z"])
    found = torch.from_numpy(draws).transpose(0, 1)
    g = torch.Generator().manual_seed(0)
    assert_posterior(found, infer.grid(model, x, mask, generator=g))
    ignored = infer.grid(model, x, generator=g)
    assert_rejected(lambda: assert_posterior(found, ignored))
