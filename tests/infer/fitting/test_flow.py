import pytest
import torch
from torch import nn

from elboroom.infer import exact_elbo, grid, svi
from elboroom.infer.fitting.flow import FlowAscent, SplineFlow
from elboroom.infer.target import Target
from elboroom.model.posteriors import DiagonalGaussian, Gaussian
from elboroom.model.vae import VAE
from tests.support.fit_cases import generator
from tests.support.oracles import Constant, LinearGaussian, UnitNoise, assert_mean, assert_rejected

ROWS = 3


def problem(latents):
    """An ascent method, and the Gaussian that its flows start from."""
    g = generator(latents)
    mean = torch.randn(ROWS, latents, generator=g, dtype=torch.float64)
    scale = torch.randn(ROWS, latents, latents, generator=g, dtype=torch.float64)
    q = Gaussian(mean, 0.3 * scale + torch.eye(latents).double())
    return FlowAscent(latents, 16, mean, g), q


def warped(latents, strength=1.5):
    """Flows with random weights, others for each row."""
    method, q = problem(latents)
    weights, *affine = method.start(q, generator(1))
    noise = torch.randn(weights.shape, generator=generator(2), dtype=torch.float64)
    flow = method.q((weights + strength * noise / weights.shape[1] ** 0.25, *affine))
    assert isinstance(flow, SplineFlow)
    return flow


@pytest.mark.parametrize("latents", [1, 2, 5])
def test_a_flow_begins_at_its_gaussian(latents):
    method, q = problem(latents)
    flow = method.q(method.start(q, generator()))
    z = q.sample(200, generator())
    torch.testing.assert_close(flow.sample(200, generator()), z)
    torch.testing.assert_close(flow.log_prob(z), q.log_prob(z))
    torch.testing.assert_close(flow.mean, q.mean)


@pytest.mark.parametrize("latents", [1, 2, 5])
def test_the_density_of_a_draw_is_that_of_the_inverse(latents):
    flow = warped(latents)
    z, log_q = flow.draw(300, generator())
    # The inverse of a spline is found to rounding, magnified by its slope.
    torch.testing.assert_close(flow.log_prob(z), log_q, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(flow.log_prob(z[0]), log_q[0], atol=1e-5, rtol=1e-5)
    far = (log_q - flow.affine.log_prob(z)).abs()
    assert far.mean() > 0.1  # it is no longer the Gaussian


@pytest.mark.parametrize("latents", [1, 2, 3])
def test_the_log_determinant_is_that_of_the_jacobian(latents):
    flow, eps = warped(latents), torch.randn(ROWS, latents, generator=generator(3)).double()
    jacobian = torch.autograd.functional.jacobian(lambda e: flow.transform(e[None])[0][0], eps)
    own = torch.stack([jacobian[b, :, b] for b in range(ROWS)])
    expected = torch.linalg.slogdet(own).logabsdet
    torch.testing.assert_close(flow.transform(eps[None])[1][0], expected)


def test_the_density_integrates_to_one():
    flow = warped(2)
    axis = torch.linspace(-6, 6, 151).double()
    points = torch.cartesian_prod(axis, axis)
    z = flow.affine.mean + torch.einsum("bij,kj->kbi", flow.affine.scale, points)
    area = (axis[1] - axis[0]) ** 2 * torch.linalg.det(flow.affine.scale).abs()
    mass = flow.log_prob(z).exp().sum(0) * area
    torch.testing.assert_close(mass, torch.ones(ROWS).double(), atol=2e-3, rtol=0)


def test_each_row_has_a_flow_of_its_own():
    flow = warped(2)
    weights = flow.weights.clone()
    weights[1] *= -1
    other = SplineFlow(flow.spline, weights, flow.affine)
    z = flow.sample(5, generator())
    same = flow.log_prob(z) == other.log_prob(z)
    assert same[:, [0, 2]].all()
    assert not same[:, 1].any()
    alone = SplineFlow(
        flow.spline, weights[1:2], Gaussian(flow.affine.mean[1:2], flow.affine.scale[1:2])
    )
    torch.testing.assert_close(alone.log_prob(z[:, 1:2]), other.log_prob(z)[:, 1:2])
    torch.testing.assert_close(alone.mean, other.mean[1:2])


def test_the_mean_is_that_of_the_draws():
    flow = warped(2)
    draws, mean = flow.sample(40_000, generator()), flow.mean
    error = draws.std(0) / 1_024**0.5  # the mean is itself an estimate, of pairs ± ε
    assert ((draws.mean(0) - mean).abs() < 4.5 * error).all()
    assert torch.equal(flow.mean, mean)
    # E_q[ N(z; μ, Σ) / q(z) ] = 1
    ratio = (flow.affine.log_prob(draws) - flow.log_prob(draws)).exp()
    assert_mean(ratio, 1.0)
    assert_rejected(lambda: assert_mean(1.1 * ratio, 1.0))


def test_the_first_weights_come_from_the_generator_alone():
    state = torch.get_rng_state()
    method, q = problem(2)
    a, b, c = (method.start(q, generator(seed))[0] for seed in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert (a == a[0]).all()  # the same in all rows
    assert torch.equal(torch.get_rng_state(), state)


def test_log_weights_are_those_of_the_draws():
    exact = LinearGaussian(pixels=6, latents=2, seed=0)
    x = exact.data(ROWS, seed=1)
    target, flow = Target.of(exact.model, x, None), warped(2)
    method, _ = problem(2)
    method.spline = flow.spline
    parameters = (flow.weights, flow.affine.mean, flow.affine.scale)
    found = method.log_weights(target, parameters, method.check)
    z, _log_det = flow.transform(method.check.eps[:, None].expand(-1, ROWS, -1))
    torch.testing.assert_close(found, target.log_joint(z) - flow.log_prob(z), atol=1e-5, rtol=1e-5)


class Banana(nn.Module):
    """z ↦ 3 (z_1, z_2 − z_1²)."""

    def forward(self, z):
        return 3 * torch.stack([z[..., 0], z[..., 1] - z[..., 0].square()], -1)


def test_a_flow_fits_what_no_gaussian_does():
    zeros = torch.zeros(2).double()
    model = VAE(Constant(zeros, zeros), Banana(), 2, UnitNoise)
    x = torch.tensor([[0.0, 0.5], [2.0, 1.0], [0.0, -2.0]]).double()
    mask = torch.tensor([[False, True], [True, True], [False, True]])
    evidence = grid(model, x, mask, generator=generator()).log_evidence
    full = svi(model, x, mask, generator=generator(), family="full")
    flow = svi(model, x, mask, generator=generator(), family="flow")
    log_weights = flow.log_weights(10_000)
    elbo, error = log_weights.mean(0), log_weights.std(0) / 100
    kl_of_full = evidence - exact_elbo(model, x, mask, full.q)
    assert (elbo <= evidence + 4.5 * error).all()
    assert (evidence - elbo < 0.5 * kl_of_full + 4.5 * error).all()


def test_a_standard_normal_is_warped_in_float32_too():
    mean = torch.zeros(2, 3)
    method = FlowAscent(3, 16, mean, generator())
    start = method.start(Gaussian(mean, torch.eye(3).expand(2, 3, 3)), generator())
    flow = method.q(start)
    z, log_q = flow.draw(10, generator())
    standard = DiagonalGaussian.standard((2, 3), mean)
    assert z.dtype == log_q.dtype == torch.float32
    torch.testing.assert_close(log_q, standard.log_prob(z))
