"""The directions that seen pixels inform, and Newton steps, by products with the curvature."""

import pytest
import torch

from elboroom.infer.fitting import subspace
from elboroom.infer.fitting.curvature import Curvature
from elboroom.infer.fitting.modes import laplace_at, low_rank_laplace_at
from elboroom.infer.fitting.subspace import informed_gaussian, newton_step
from elboroom.infer.target import Target
from elboroom.model.posteriors import SubspaceGaussian
from tests.support.fit_cases import generator, pictures, small_vae
from tests.support.oracles import LinearGaussian, assert_rejected, random_masks


def decoder_case(latents=50, rows=4):
    """Return a target of a decoder that is not linear, and z."""
    target = Target.of(small_vae(1, latents, scale=4.0), *pictures(rows, 2))
    return target, torch.randn(rows, latents, generator=generator(), dtype=torch.float64)


def likelihood_part(target, z):
    """Return the dense curvature of the likelihood alone, without the prior's identity."""
    with_prior = target.model.prior.curvature(z)[1]
    parameter, jacobian = target.model.decoder_jacobian(z)
    likelihood = target.model.likelihood(parameter)
    curvature = likelihood.precision(jacobian.flatten(2).transpose(0, 1), target.mask)
    assert torch.equal(with_prior, torch.eye(z.shape[-1]).double().expand_as(with_prior))
    return curvature


@pytest.mark.parametrize("points", [1, 3])
def test_products_are_those_of_the_matrix(points, monkeypatch):
    target, z = decoder_case()
    many = torch.stack([z + i for i in range(points)])
    expected = torch.stack([likelihood_part(target, one) for one in many]).mean(0)
    vectors = torch.randn(6, 4, 50, generator=generator(1), dtype=torch.float64)
    found = Curvature(target, many).times(vectors)
    torch.testing.assert_close(found, torch.einsum("bij,rbj->rbi", expected, vectors))
    monkeypatch.setattr("elboroom.infer.fitting.curvature.decoded_at_a_time", lambda *_: 5)
    torch.testing.assert_close(Curvature(target, many).times(vectors), found)


def test_low_rank_is_the_dense_laplace_approximation_where_it_has_all_directions():
    target, z = decoder_case()

    def check(least):
        q = informed_gaussian(Curvature(target, z[None]), z, generator(), least=least)
        torch.testing.assert_close(q.covariance, exact, atol=1e-6, rtol=1e-6)

    exact = laplace_at(target, z).covariance
    check(1e-9)
    assert_rejected(lambda: check(torch.inf))  # no direction is kept
    assert_rejected(lambda: check(1.0))


def test_what_is_left_to_the_prior_costs_little():
    target, z = decoder_case()
    q = low_rank_laplace_at(target, z, generator())
    rank = (q.directions.square().sum(-2) > 0.5).sum(-1)
    assert (rank < 16).all()  # the pixels
    exact = torch.distributions.MultivariateNormal(z, laplace_at(target, z).covariance)
    cut = torch.distributions.MultivariateNormal(z, q.covariance)
    assert torch.distributions.kl_divergence(cut, exact).max() < 16 * 0.05**2 / 4
    assert rank[0] == 0  # nothing is seen


def test_a_prior_without_its_precision_is_noticed(monkeypatch):
    exact = LinearGaussian(pixels=6, latents=40, seed=1)
    x, mask = exact.data(3, seed=1), random_masks(3, 6, seed=2)
    target, z = Target.of(exact.model, x, mask), torch.zeros(3, 40).double()

    def check():
        q = low_rank_laplace_at(target, z, generator())
        torch.testing.assert_close(q.covariance, exact.posterior(x, mask)[1].inverse())

    check()

    def without_prior(mean, directions, excess):
        root = torch.diag_embed(torch.where(excess > 0, excess, 1.0).rsqrt())
        return SubspaceGaussian(mean, directions, root, torch.ones_like(mean[..., 0]))

    monkeypatch.setattr(SubspaceGaussian, "of_precision", without_prior)
    assert_rejected(check)


def test_a_row_does_not_depend_on_its_batch(monkeypatch):
    monkeypatch.setattr(subspace, "_BLOCK", 3)  # rows stop after different numbers of blocks
    target, z = decoder_case()
    whole = low_rank_laplace_at(target, z, generator()).covariance
    for row in range(4):
        index = torch.tensor([row])
        alone = low_rank_laplace_at(target.rows(index), z[index], generator())
        torch.testing.assert_close(alone.covariance[0], whole[row], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("damping", [0.0, 3.0])
def test_newton_steps_solve_to_a_share_of_the_gradient(damping):
    target, z = decoder_case()
    gradient = target.gradient(z[None])[0]
    rows = torch.full((4,), damping, dtype=torch.float64)
    step = newton_step(Curvature(target, z[None]), gradient, rows)
    matrix = likelihood_part(target, z)
    along = torch.einsum("bi,bij,bj->b", gradient, matrix, gradient) / gradient.square().sum(-1)
    shift = (1 + damping * (1 + along))[:, None, None] * torch.eye(50).double()
    residual = gradient - ((matrix + shift) @ step[..., None])[..., 0]
    assert (residual.norm(dim=-1) <= 0.05 * gradient.norm(dim=-1)).all()
