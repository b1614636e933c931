"""The directions that seen pixels inform, and Newton steps, by products with the curvature."""

import pytest
import torch

from elboroom.infer.fitting import subspace
from elboroom.infer.fitting.curvature import Curvature
from elboroom.infer.fitting.modes import laplace_at, low_rank_laplace_at
from elboroom.infer.fitting.subspace import informed_gaussian, newton_step
from elboroom.infer.laplace import laplace
from elboroom.infer.target import Target
from elboroom.model.posteriors import Gaussian, SubspaceGaussian
from elboroom.model.priors import FlowPrior, MixturePrior, TopPrior
from elboroom.model.vae import VAE
from tests.support.fit_cases import generator, pictures, small_vae
from tests.support.oracles import LinearGaussian, assert_rejected, random_masks


def decoder_case(latents=50, rows=4):
    """Return a target of a decoder that is not linear, and z."""
    target = Target.of(small_vae(1, latents, scale=4.0), *pictures(rows, 2))
    return target, torch.randn(rows, latents, generator=generator(), dtype=torch.float64)


def top_model(kind, latents=50):
    """Return a model with a prior of the first latents that is narrow in some, and wide in others.

    The decoder hardly depends on the first one.
    """
    if kind == "mixture":
        log_stds = torch.tensor([[-1.0, 1.0, 0.0, 0.7], [-0.5, 0.5, 0.1, 1.2]])
        top = MixturePrior(torch.tensor([0.3, 0.0]), torch.eye(4)[:2], log_stds)
    else:
        top = FlowPrior(4, generator(5))
        for p in top.parameters():
            p.data += 0.2 * torch.randn(p.shape, generator=generator(6))
    model = small_vae(1, latents, scale=4.0)
    first = next(p for p in model.decoder.parameters() if p.ndim == 2)
    first.data[:, 0] *= 1e-3
    parts = model.encoder, model.decoder, latents
    prior = TopPrior(top.double(), latents - 4).double()
    return VAE(*parts, prior=prior).requires_grad_(False)


def top_case(kind, latents=50, rows=4):
    """Return the target of such a model, and z."""
    target = Target.of(top_model(kind, latents), *pictures(rows, 2))
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


@pytest.mark.parametrize("kind", ["mixture", "flow"])
@pytest.mark.parametrize("block", [3, 32])
def test_low_rank_under_a_prior_of_the_top_is_the_dense_laplace_approximation(
    kind, block, monkeypatch
):
    monkeypatch.setattr(subspace, "_BLOCK", block)
    target, z = top_case(kind)
    exact = laplace_at(target, z).covariance

    def check(least):
        q = informed_gaussian(Curvature(target, z[None]), z, generator(), least=least)
        torch.testing.assert_close(q.covariance, exact, atol=1e-6, rtol=1e-6)

    check(1e-9)
    if kind == "mixture":  # it is wider than N(0, I) in some directions
        assert torch.linalg.eigvalsh(exact).max() > 1.5
    with monkeypatch.context() as planted:
        no_prior = property(lambda self: self.z.new_zeros(self.z.shape[1], 4, 4))
        planted.setattr(Curvature, "of_prior", no_prior)
        assert_rejected(lambda: check(1e-9))
    cut = low_rank_laplace_at(target, z, generator())
    both = (torch.distributions.MultivariateNormal(z, c) for c in (cut.covariance, exact))
    assert torch.distributions.kl_divergence(*both).max() < 20 * 0.05**2 / 4


def test_the_precision_of_a_prior_is_averaged_over_points():
    target, z = top_case("mixture")
    many = torch.stack([z, z + 1])
    expected = torch.stack([target.curvature(one)[1] for one in many]).mean(0)
    q = informed_gaussian(Curvature(target, many), z, generator(), least=1e-9)
    torch.testing.assert_close(q.covariance, expected.inverse(), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("damping", [0.0, 3.0])
def test_newton_steps_under_a_prior_of_the_top_solve_to_a_share_of_the_gradient(damping):
    target, z = top_case("mixture")
    gradient, matrix = target.curvature(z)
    rows = torch.full((4,), damping, dtype=torch.float64)
    step = newton_step(Curvature(target, z[None]), gradient, rows)
    along = torch.einsum("bi,bij,bj->b", gradient, matrix, gradient) / gradient.square().sum(-1)
    shift = (damping * along)[:, None, None] * torch.eye(50).double()
    residual = gradient - ((matrix + shift) @ step[..., None])[..., 0]
    assert (residual.norm(dim=-1) <= 0.05 * gradient.norm(dim=-1)).all()


def test_laplace_under_a_prior_of_the_top_is_that_with_matrices(monkeypatch):
    model, (x, mask) = top_model("mixture"), pictures(4, 2)

    def fitted():
        return laplace(model, x, mask, generator=generator(), refine=False)

    dense = fitted()
    monkeypatch.setattr("elboroom.infer.target.MOST_DENSE", 10)
    found = fitted()
    assert isinstance(dense.q, Gaussian)
    assert isinstance(found.q, SubspaceGaussian)
    assert dense.q.standardised(found.q.mean).norm(dim=-1).max() < 0.1
    both = (
        torch.distributions.MultivariateNormal(q.mean, q.covariance) for q in (found.q, dense.q)
    )
    assert torch.distributions.kl_divergence(*both).max() < 0.02
