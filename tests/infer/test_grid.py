import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.distributions import MultivariateNormal, kl_divergence

from elboroom.config import ModelConfig
from elboroom.errors import UsageError
from elboroom.infer import grid
from elboroom.infer.target import Target
from elboroom.model.posteriors import DiagonalGaussian, Gaussian, GaussianMixture
from elboroom.model.vae import VAE
from tests.support.grid_cases import generator, problem, small_vae
from tests.support.oracles import Constant, LinearGaussian, UnitNoise, assert_mean, assert_rejected


class Fold(nn.Module):
    """z → scale (z₁², z₂): the sign of z₁ cannot be seen."""

    def __init__(self, scale):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale, dtype=torch.float64))

    def forward(self, z):
        return self.scale * torch.stack([z[..., 0].square(), z[..., 1]], -1)


def fine_grid(model, x, mask, spacing):
    """log p(x_seen), and the mean, on one fine lattice for all rows."""
    axis = torch.arange(-8, 8, spacing, dtype=torch.float64).to(x)
    points = torch.cartesian_prod(*[axis] * model.latents).view(-1, model.latents)
    table = Target.of(model, x, mask).log_joint_table(points).double()
    log_evidence = torch.logsumexp(table, 0) + model.latents * math.log(spacing)
    return log_evidence, torch.softmax(table, 0).T @ points.double()


@pytest.mark.parametrize("latents", [1, 2])
def test_evidence_density_and_moments_are_those_of_the_linear_gaussian_model(latents):
    exact, x, mask = problem(latents)
    found = grid(exact.model, x, mask, generator=generator())
    torch.testing.assert_close(found.log_evidence, exact.log_evidence(x, mask), atol=1e-6, rtol=0)
    mean, precision = exact.posterior(x, mask)
    torch.testing.assert_close(found.mean, mean, atol=1e-6, rtol=0)
    torch.testing.assert_close(found.covariance, precision.inverse(), atol=1e-6, rtol=0)
    assert found.error.max() <= 1e-3
    assert torch.equal(found.diagnostics["log_evidence_error"], found.error)
    z = torch.randn(3, *mean.shape, generator=generator(), dtype=torch.float64)
    posterior = MultivariateNormal(mean, precision_matrix=precision)
    torch.testing.assert_close(found.log_prob(z), posterior.log_prob(z), atol=1e-5, rtol=0)


def test_the_cells_are_those_of_their_rows():
    exact, x, mask = problem(2)
    found = grid(exact.model, x, mask, generator=generator())
    cells, joint = found.cells, exact.model.log_joint
    for row in range(len(x)):
        points, log_joint = cells.of(row)
        one = slice(row, row + 1)
        expected = joint(x[one], points[:, None], mask[one])[:, 0]
        torch.testing.assert_close(log_joint, expected, atol=1e-9, rtol=0)
        assert (cells.row[cells.offsets[row] : cells.offsets[row + 1]] == row).all()
        assert torch.equal(points / cells.spacing[row], (points / cells.spacing[row]).round())
        assert len(points.unique(dim=0)) == len(points)
    assert cells.offsets[-1] == len(cells.points) == len(cells.row)
    total = cells.sum(found.log_density.exp()) * cells.spacing ** cells.points.shape[-1]
    torch.testing.assert_close(total, torch.ones_like(total), atol=1e-7, rtol=0)


def test_no_mask_is_a_mask_of_all_true():
    exact, x, mask = problem(1)
    found = grid(exact.model, x, generator=generator())
    same = grid(exact.model, x, torch.ones_like(mask), generator=generator())
    assert torch.equal(found.log_evidence, same.log_evidence)


def test_a_mask_of_all_false_gives_back_the_prior():
    for model, x, mask in (small_vae(0, 2, 1.0), (*(p := problem(2))[:1], *p[1:])):
        model = model if isinstance(model, VAE) else model.model
        found = grid(model, x[:1], mask[:1], generator=generator())
        torch.testing.assert_close(found.log_evidence, torch.zeros(1).double(), atol=1e-6, rtol=0)
        torch.testing.assert_close(found.mean, torch.zeros(1, 2).to(x), atol=1e-6, rtol=0)
        torch.testing.assert_close(found.covariance, torch.eye(2).to(x)[None], atol=1e-6, rtol=0)


def uniform_in_cells(found, k):
    """Draws that ignore how the density varies within a cell."""
    start, end = found.cells.offsets[:-1], found.cells.offsets[1:]
    rows = [
        torch.multinomial(found.probabilities[a:b], k, True) + a
        for a, b in zip(start, end, strict=True)
    ]
    cell = torch.stack(rows, 1)
    within = torch.rand(*cell.shape, found.target.latents, dtype=torch.float64) - 0.5
    return found.cells.points[cell] + found.cells.spacing[:, None] * within


@pytest.mark.parametrize("latents", [1, 2])
def test_draws_have_the_posterior_moments(latents):
    exact, x, _ = problem(latents)
    std = 0.28  # about a cell
    scale = math.sqrt(1 / std**2 - 1) / torch.linalg.matrix_norm(exact.weight, 2)
    exact.model.decoder.weight.data *= scale  # shared with the exact answers
    mask = torch.ones_like(x, dtype=torch.bool)
    found = grid(exact.model, x, generator=generator(), tolerance=0.1)
    mean, precision = exact.posterior(x, mask)

    def check(draws):
        assert_mean(draws, mean)
        centred = draws - mean
        covariance = centred[..., :, None] * centred[..., None, :]
        assert_mean(covariance, precision.inverse())

    check(found.sample(20_000))
    torch.manual_seed(0)
    assert_rejected(lambda: check(uniform_in_cells(found, 20_000)))


def test_draws_of_a_curved_posterior_have_its_moments():
    model = VAE(Constant(*torch.zeros(2, 2).double()), Fold(10.0), 2, UnitNoise)
    x = torch.tensor([[3.0, 4.0]], dtype=torch.float64)
    found = grid(model, x, generator=generator())
    # z₁ by a fine sum, z₂ in closed form: its variance is 1/(1 + 10²), its mean 10 x₂/(1 + 10²)
    z = torch.arange(-6, 6, 1e-4, dtype=torch.float64)
    first = (-0.5 * (z.square() + (x[0, 0] - 10 * z.square()).square())).softmax(0)
    moments = [first @ z.square(), first @ z.pow(4), torch.tensor(1 / 101)]

    def check(draws):
        one, two = draws[:, 0].unbind(-1)
        assert_mean(
            torch.stack([one.square(), one.pow(4), (two - 40 / 101).square()], -1),
            torch.stack(moments),
        )

    check(found.sample(100_000))
    torch.manual_seed(0)
    assert_rejected(lambda: check(uniform_in_cells(found, 100_000)))


@pytest.mark.parametrize("latents", [1, 2])
@pytest.mark.parametrize("shift", [10.0, 40.0])
def test_the_grid_widens_to_far_posteriors(latents, shift):
    exact, x, _ = problem(latents)
    mask = torch.ones_like(x, dtype=torch.bool)
    precision = exact.posterior(x, mask)[1][0]
    gain = torch.linalg.solve(precision, exact.weight.T)
    x[1:] += torch.linalg.pinv(gain) @ torch.full((latents,), shift, dtype=x.dtype)
    mean = exact.posterior(x, mask)[0]
    assert mean[1:].abs().min() > shift - 3 > mean[0].abs().max()
    found = grid(exact.model, x, mask, generator=generator())
    torch.testing.assert_close(found.log_evidence, exact.log_evidence(x, mask), atol=1e-6, rtol=0)
    torch.testing.assert_close(found.mean, mean, atol=1e-5, rtol=0)


@pytest.mark.parametrize("latents", [1, 2])
@pytest.mark.parametrize("std", [0.05, 0.01, 0.002])
def test_narrow_posteriors_are_resolved(latents, std):
    exact, x, mask = problem(latents)
    x = x - exact.bias
    exact.model.decoder.bias.data.zero_()
    scale = 1 / (std * torch.linalg.matrix_norm(exact.weight, 2))
    exact.model.decoder.weight.data *= scale  # shared with the exact answers
    x = x * scale
    mask = mask[-1:].expand_as(mask)
    mean, precision = exact.posterior(x, mask)
    found = grid(exact.model, x, mask, generator=generator())
    torch.testing.assert_close(found.log_evidence, exact.log_evidence(x, mask), atol=1e-3, rtol=0)
    torch.testing.assert_close(found.mean, mean, atol=1e-4 * std, rtol=0)
    covariance = precision.inverse()
    torch.testing.assert_close(found.covariance, covariance, atol=1e-4 * std**2, rtol=1e-4)
    assert found.cells.spacing.max() < 2 * covariance.diagonal(dim1=-1, dim2=-2).sqrt().max()


@pytest.mark.parametrize("scale", [2.0, 10.0, 200.0])
def test_both_modes_of_a_posterior_are_found(scale):
    model = VAE(Constant(*torch.zeros(2, 2).double()), Fold(scale), 2, UnitNoise)
    x = scale * torch.tensor([[1.0, 0.4], [1.03, -1.2]], dtype=torch.float64)
    found = grid(model, x, generator=generator())
    # z₁ and z₂ are independent: the first by a fine sum, the second in closed form
    z = torch.arange(-6, 6, 1e-5, dtype=torch.float64)[:, None]
    log_joint = -0.5 * (z.square() + (x[:, 0] - scale * z.square()).square())
    first = torch.logsumexp(log_joint, 0) + math.log(1e-5 / (2 * math.pi))
    second = torch.distributions.Normal(0.0, math.hypot(1, scale)).log_prob(x[:, 1])
    torch.testing.assert_close(found.log_evidence, first + second, atol=1e-3, rtol=0)
    assert_mean((found.sample(4_000)[..., 0] > 0).double(), 0.5)


@pytest.mark.parametrize("latents", [1, 2])
@given(seed=st.integers(0, 10**6), gain=st.floats(0.5, 6.0))
@settings(max_examples=15, deadline=None, derandomize=True)
def test_small_decoders_agree_with_a_fine_lattice(latents, seed, gain):
    model, x, mask = small_vae(seed, latents, gain)
    found = grid(model, x, mask, generator=generator())
    log_evidence, mean = fine_grid(model, x, mask, 1 / 40)
    torch.testing.assert_close(found.log_evidence, log_evidence, atol=1e-3, rtol=0)
    torch.testing.assert_close(found.mean.double(), mean, atol=1e-3, rtol=0)


def test_float32_is_good_for_a_thousandth_of_a_nat():
    g = generator()
    model = VAE.from_config(ModelConfig(2, (30,)), (1, 28, 28), generator=g)
    for p in model.decoder.parameters():
        p.data *= 4
    x = model.decode(model.prior(8).sample(1, g)[0]).sample(g)
    found = grid(model, x, generator=g)
    exact = grid(copy.deepcopy(model).double(), x.double(), generator=g, tolerance=1e-9)
    assert exact.error.max() <= 1e-9
    torch.testing.assert_close(found.log_evidence, exact.log_evidence, atol=1e-3, rtol=0)
    torch.testing.assert_close(found.mean.double(), exact.mean, atol=1e-4, rtol=0)


def test_a_row_does_not_depend_on_its_batch():
    model, x, mask = small_vae(3, 2, 4.0, rows=9)
    found = grid(model, x, mask, generator=generator())
    order = torch.randperm(9, generator=generator())
    permuted = grid(model, x[order], mask[order], generator=generator())
    halves = [grid(model, x[i], mask[i], generator=generator()) for i in torch.arange(9).split(5)]
    for name in ("log_evidence", "error", "mean", "covariance"):
        ours = getattr(found, name)
        tolerance = {"atol": 2e-5, "rtol": 0}
        torch.testing.assert_close(getattr(permuted, name), ours[order], **tolerance)
        split = torch.cat([getattr(half, name) for half in halves])
        torch.testing.assert_close(split, ours, **tolerance)
    assert torch.equal(permuted.cells.spacing, found.cells.spacing[order])
    for row, there in enumerate(order.tolist()):
        torch.testing.assert_close(permuted.cells.of(row)[0], found.cells.of(there)[0])


def test_draws_repeat_with_their_generator():
    exact, x, mask = problem(2)
    draws = [grid(exact.model, x, mask, generator=generator()).sample(3) for _ in range(2)]
    assert torch.equal(*draws)


@pytest.mark.parametrize("latents", [1, 2])
def test_kl_between_gaussians_is_the_closed_form(latents):
    exact, x, mask = problem(latents)
    found = grid(exact.model, x, mask, generator=generator())
    mean, precision = exact.posterior(x, mask)
    posterior = MultivariateNormal(mean, precision_matrix=precision)
    q = Gaussian(mean, torch.linalg.cholesky(precision.inverse()))
    torch.testing.assert_close(found.kl(q), torch.zeros_like(q.mean[:, 0]), atol=1e-6, rtol=0)
    shift, log_std = torch.randn(2, *mean.shape, generator=generator(), dtype=mean.dtype)
    for other in (DiagonalGaussian(mean + shift, log_std), Gaussian(mean - shift, 0.3 * q.scale)):
        expected = kl_divergence(MultivariateNormal(other.mean, other.covariance), posterior)
        torch.testing.assert_close(found.kl(other), expected, atol=1e-6, rtol=1e-9)


def test_kl_of_a_mixture_is_that_of_a_fine_sum():
    model, x, mask = small_vae(5, 1, 3.0)
    found = grid(model.double(), x.double(), mask, generator=generator())
    mean = torch.tensor([-1.0, 0.5]).double()[:, None, None].expand(2, 4, 1)
    scale = torch.tensor([0.1, 0.6]).double()[:, None, None, None].expand(2, 4, 1, 1)
    q = GaussianMixture(torch.tensor([[0.3], [1.0]]).double().expand(2, 4), Gaussian(mean, scale))
    z = torch.arange(-8, 8, 1e-3, dtype=torch.float64)[:, None, None].expand(-1, 4, 1)
    log_q = q.log_prob(z)
    expected = 1e-3 * (log_q.exp() * (log_q - found.log_prob(z))).sum(0)
    torch.testing.assert_close(found.kl(q), expected, atol=1e-4, rtol=0)


def test_three_latents_are_refused():
    exact = LinearGaussian(pixels=5, latents=3, seed=1)
    with pytest.raises(UsageError, match="over 3 latent dimensions"):
        grid(exact.model, exact.data(2, seed=1), generator=generator())


def test_a_mask_that_does_not_fit_is_refused():
    exact, x, mask = problem(1)
    with pytest.raises(UsageError, match=r"does not broadcast|its type is"):
        grid(exact.model, x, mask[:, :2], generator=generator())
    with pytest.raises(UsageError, match="its type is"):
        grid(exact.model, x, mask.float(), generator=generator())


def test_nan_is_refused_where_it_is_seen_and_harmless_where_it_is_not():
    model, x, mask = small_vae(1, 2, 2.0)
    expected = grid(model, x, mask, generator=generator()).log_evidence
    x = x.masked_fill(~mask, math.nan)
    assert torch.equal(grid(model, x, mask, generator=generator()).log_evidence, expected)
    with pytest.raises(UsageError, match="NaN"):
        grid(model, x, generator=generator())
