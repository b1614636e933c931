from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.autograd.functional import hessian, jacobian

from elboroom.config import ModelConfig
from elboroom.infer.observed import restrict_to_observed
from elboroom.infer.target import Target
from elboroom.model.likelihoods import Bernoulli
from elboroom.model.vae import VAE
from tests.support.fit_cases import EVENT, generator, pictures, small_vae
from tests.support.oracles import Constant, LinearGaussian, assert_rejected, random_masks

ACTIVATIONS = ["tanh", "relu", "silu", "softplus"]


def problem(latents=3, rows=4, activation="tanh"):
    config = ModelConfig(latents, (12, 9), activation=activation)
    model = VAE.from_config(config, EVENT, generator=generator(1)).double()
    for p in model.decoder.parameters():
        p.data *= 2
    x, mask = pictures(rows, seed=2)
    z = torch.randn(rows, latents, generator=generator(3), dtype=torch.float64)
    return model, x, mask, z


def each_row(function, z):
    """A derivative of function(b, z_b) for each row b, stacked."""
    return torch.stack([function(b, z[b]) for b in range(len(z))])


def log_joint_of_row(model, x, mask):
    return lambda b, z: model.log_joint(x[b : b + 1], z[None], mask[b : b + 1])[0]


def test_the_log_joint_is_that_of_the_model_for_any_leading_shape():
    model, x, mask, z = problem()
    target = Target.of(model, x, mask)
    torch.testing.assert_close(target.log_joint(z), model.log_joint(x, z, mask))
    many = torch.randn(2, 5, 4, 3, generator=generator(), dtype=torch.float64)
    torch.testing.assert_close(target.log_joint(many), model.log_joint(x, many, mask))


def test_the_table_holds_the_log_joint_of_every_row_at_every_point():
    model, x, mask, _ = problem()
    points = torch.randn(7, 3, generator=generator(), dtype=torch.float64)
    target = Target.of(model, x, mask)
    expected = target.log_joint(points[:, None].expand(-1, len(x), -1))
    torch.testing.assert_close(target.log_joint_table(points), expected)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_gradient_is_that_of_autograd_and_of_finite_differences(activation):
    model, x, mask, z = problem(activation=activation)
    target, log_joint = Target.of(model, x, mask), log_joint_of_row(model, x, mask)
    gradient = target.gradient(z)
    expected = each_row(lambda b, z: jacobian(lambda z: log_joint(b, z), z), z)
    torch.testing.assert_close(gradient, expected)
    step = 1e-5 * torch.eye(3).double()[:, None]
    slopes = (target.log_joint(z + step) - target.log_joint(z - step)) / 2e-5
    torch.testing.assert_close(gradient, slopes.T, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(target.curvature(z)[0], expected)


def test_the_gradient_of_many_points_is_that_of_each():
    model, x, mask, _ = problem()
    many = torch.randn(2, 5, 4, 3, generator=generator(), dtype=torch.float64)
    target = Target.of(model, x, mask)
    gradient = target.gradient(many)
    torch.testing.assert_close(gradient[1, 3], target.gradient(many[1, 3]))
    assert not gradient.requires_grad


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_curvature_is_gauss_newton(activation):
    model, x, mask, z = problem(activation=activation)
    precision = Target.of(model, x, mask).curvature(z)[1]

    def expected(b, z):
        j = jacobian(lambda z: model.decoder(z).flatten(), z)
        p = model.decoder(z).sigmoid().flatten()
        weight = p * (1 - p) * mask[b].flatten()
        return torch.eye(3).double() + j.T @ (weight[:, None] * j)

    torch.testing.assert_close(precision, each_row(expected, z))
    assert (torch.linalg.eigvalsh(precision) >= 1 - 1e-12).all()


def affine_bernoulli(latents, seed):
    """Logits that are linear in z: Gauss–Newton leaves nothing out."""
    decoder = nn.Linear(latents, 7).double()
    for p in decoder.parameters():
        p.data = 2 * torch.randn(p.shape, generator=generator(seed), dtype=torch.float64)
    zeros = torch.zeros(latents).double()
    return VAE(Constant(zeros, zeros), decoder, latents, Bernoulli)


@pytest.mark.parametrize("latents", [1, 2, 4])
def test_the_curvature_is_the_exact_hessian_where_the_decoder_is_linear(latents):
    model = affine_bernoulli(latents, seed=latents)
    x = (torch.rand(5, 7, generator=generator()) < 0.5).double()
    mask = random_masks(5, 7, seed=4)
    z = torch.randn(5, latents, generator=generator(), dtype=torch.float64)
    log_joint = log_joint_of_row(model, x, mask)
    expected = -each_row(lambda b, z: hessian(lambda z: log_joint(b, z), z), z)

    def check(precision):
        torch.testing.assert_close(precision, expected)

    check(Target.of(model, x, mask).curvature(z)[1])
    assert_rejected(lambda: check(Target.of(model, x, None).curvature(z)[1]))


def test_the_curvature_of_the_linear_gaussian_model_is_its_posterior_precision():
    exact = LinearGaussian(pixels=6, latents=3, seed=0)
    x, mask = exact.data(5, seed=1), random_masks(5, 6, seed=2)
    mean, precision = exact.posterior(x, mask)
    gradient, curvature = Target.of(exact.model, x, mask).curvature(mean + 1)
    torch.testing.assert_close(curvature, precision)
    torch.testing.assert_close(gradient, -precision.sum(-1))


def test_a_curvature_that_rounding_makes_singular_still_has_a_cholesky_factor():
    model = small_vae(2, 5, scale=1_000.0).float()
    x, mask = pictures(60, seed=1)
    z = torch.randn(60, 5, generator=generator())
    precision = Target.of(model, x.float(), mask).curvature(z)[1]
    assert torch.linalg.cholesky_ex(precision).info.eq(0).all()


def test_rows_are_picked_and_repeated():
    model, x, mask, z = problem()
    target, index = Target.of(model, x, mask), torch.tensor([2, 0, 2])
    some = target.rows(index)
    assert len(some) == 3
    torch.testing.assert_close(some.log_joint(z[index]), target.log_joint(z)[index])
    torch.testing.assert_close(some.gradient(z[index]), target.gradient(z)[index])
    whole = Target.of(model, x, None).rows(index)
    torch.testing.assert_close(whole.log_joint(z[index]), model.log_joint(x, z)[index])


def test_working_on_some_rows_at_a_time_changes_nothing(monkeypatch):
    model, x, mask, z = problem(rows=7)
    target = Target.of(model, x, mask)
    many = z + torch.randn(6, 7, 3, generator=generator(), dtype=torch.float64)

    def everything():
        return target.log_joint(many), target.gradient(many), *target.curvature(z)

    at_once = everything()
    monkeypatch.setattr("elboroom.infer.target.decoded_at_a_time", lambda model, x: 13)
    monkeypatch.setattr("elboroom.infer.target._JACOBIAN", 3 * 16 * 2)
    for a, b in zip(at_once, everything(), strict=True):
        torch.testing.assert_close(a, b)


@given(st.integers(0, 10**6))
def test_leaving_out_pixels_that_no_row_sees_changes_no_density(seed):
    model, g = small_vae(seed), generator(seed)
    x = (torch.rand(3, *EVENT, generator=g) < 0.4).double()
    mask = (torch.rand(3, *EVENT, generator=g) < 0.6) & (torch.rand(EVENT, generator=g) < 0.5)
    z = torch.randn(4, 3, 2, generator=g, dtype=torch.float64)
    small, x_seen, mask_seen = restrict_to_observed(model, x, mask)
    torch.testing.assert_close(small.log_joint(x_seen, z, mask_seen), model.log_joint(x, z, mask))
    assert x_seen.shape[1] == mask.any(0).sum()


def test_where_nothing_is_seen_the_target_is_the_prior():
    model, x, mask, z = problem()
    target = Target.of(model, x.fill_(torch.nan), torch.zeros_like(mask))
    torch.testing.assert_close(target.log_joint(z), model.prior(4).log_prob(z))
    torch.testing.assert_close(target.gradient(z), -z)
    torch.testing.assert_close(target.curvature(z)[1], torch.eye(3).double().expand(4, 3, 3))
    table = model.prior(4).log_prob(z[:, None].expand(-1, 4, -1))
    torch.testing.assert_close(target.log_joint_table(z), table)


def test_fast_changes_the_products_and_nothing_else():
    model, x, mask, z = problem()
    model, x, z = model.float(), x.float(), z.float()
    target = Target.of(model, x, mask)
    fast = target.fast()
    assert replace(fast, products=target.products) == target
    # Eight bits of significand, on gradients and precisions of order ten
    for a, b in zip(target.curvature(z), fast.curvature(z), strict=True):
        assert a.dtype == b.dtype == torch.float32
        torch.testing.assert_close(a, b, atol=0.1, rtol=0.03)
    torch.testing.assert_close(target.gradient(z), fast.gradient(z), atol=0.1, rtol=0.03)
    bfloat16 = replace(target, products=torch.bfloat16)
    torch.testing.assert_close(target.gradient(z), bfloat16.gradient(z), atol=0.1, rtol=0.03)
    assert not torch.equal(target.gradient(z), bfloat16.gradient(z))
    torch.testing.assert_close(target.log_joint(z), bfloat16.log_joint(z), atol=0.1, rtol=0.01)


@pytest.mark.parametrize("around", [torch.no_grad, torch.enable_grad])
def test_derivatives_need_no_gradient_mode_and_leave_none(around):
    model, x, mask, z = problem()
    target = Target.of(model, x, mask)
    with around():
        gradient, precision = target.curvature(z)
        assert torch.allclose(target.gradient(z), gradient)
    assert not gradient.requires_grad
    assert not precision.requires_grad
    assert not z.requires_grad
    assert all(p.grad is None for p in model.parameters())
