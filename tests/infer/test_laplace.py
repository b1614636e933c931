import math

import pytest
import torch

from elboroom.infer import exact_elbo, laplace
from elboroom.infer.fitting.ascent import Ascent
from elboroom.infer.fitting.modes import find_modes, laplace_at, repeats
from elboroom.infer.laplace import mixture_of_modes
from elboroom.infer.target import Target
from elboroom.model.posteriors import Gaussian, GaussianMixture
from tests.support.fit_cases import TwoModes, generator, pictures, small_vae
from tests.support.oracles import LinearGaussian, assert_rejected, random_masks

ROWS = 7
# What a mode may be off by: a step that gains 0.01 nats, d² / 2, was the last.
OFF = math.sqrt(2 * 0.01)


def linear(latents):
    exact = LinearGaussian(pixels=8, latents=latents, seed=latents)
    return exact, exact.data(ROWS, seed=1), random_masks(ROWS, 8, seed=2)


@pytest.mark.parametrize("refine", [False, True])
@pytest.mark.parametrize("latents", [1, 2, 3, 6])
def test_a_gaussian_posterior_is_found_under_every_mask(latents, refine):
    exact, x, mask = linear(latents)
    fit = laplace(exact.model, x, mask, generator=generator(), refine=refine)
    mean, precision = exact.posterior(x, mask)

    def check(mean, precision):
        units = torch.linalg.cholesky(precision).mT @ (fit.mean - mean)[..., None]
        assert units.norm(dim=1).max() < OFF / 5  # Newton's last step takes most of what is left
        identity = torch.eye(latents).double().expand_as(precision)
        torch.testing.assert_close(fit.q.covariance @ precision, identity, atol=1e-9, rtol=0)

    check(mean, precision)
    assert_rejected(lambda: check(*exact.posterior(x, mask.roll(1, 0))))
    assert fit.converged.all()
    # log w of an exact q is log p(x_seen), whatever the draw
    evidence = exact.log_evidence(x, mask)
    torch.testing.assert_close(fit.elbo, evidence, atol=2e-3, rtol=0)
    torch.testing.assert_close(fit.log_weights(50).mean(0), evidence, atol=2e-3, rtol=0)
    assert fit.elbo_standard_error.max() < 2e-3


def rough(seed, latents=2, *, scale=2.0):
    model, (x, mask) = small_vae(seed, latents, scale=scale), pictures(20, seed)
    return model, x, mask


def mode_near(target, z):
    """The mode near z (B, D), to rounding."""
    for _ in range(500):
        gradient, precision = target.curvature(z)
        z = z + 0.5 * torch.linalg.solve(precision, gradient)
    return z


@pytest.mark.parametrize("latents", [1, 2])
def test_unrefined_it_stands_at_a_mode_with_the_curvature_there(latents):
    model, x, mask = rough(1, latents)
    fit = laplace(model, x, mask, generator=generator(), refine=False)
    target = Target.of(model, x, mask)
    mode = mode_near(target, fit.mean)
    assert target.gradient(mode).abs().max() < 1e-6
    # A step that gains 0.01 nats is the last. Without second derivatives there may be more to gain.
    assert (target.log_joint(mode) - target.log_joint(fit.mean)).max() < 0.03
    assert (target.log_joint(mode + 0.3) - target.log_joint(mode)).max() < 0
    expected = torch.linalg.inv(target.curvature(fit.mean)[1])
    torch.testing.assert_close(fit.q.covariance, expected)
    assert fit.converged.all()


@pytest.mark.parametrize("latents", [1, 2])
def test_refining_brings_the_elbo_to_that_of_the_best_gaussian(latents, monkeypatch):
    model, x, mask = rough(1, latents, scale=1.5)

    def elbo(**options):
        fit = laplace(model, x, mask, generator=generator(), starts=1, **options)
        return exact_elbo(model, x, mask, fit.q)

    alone, refined = elbo(refine=False), elbo()
    monkeypatch.setattr("elboroom.infer.fitting.natural_gradient._ORDERS", {latents: (24, 24)})
    best = elbo(tolerance=1e-6)

    def check(found):
        assert (best - found).mean() < 0.01  # few nodes see a rough posterior roughly
        assert (best - found).max() < 0.05
        assert (best - found).min() > -0.005

    check(refined)
    assert_rejected(lambda: check(alone))


def test_a_row_without_time_to_stop_is_not_converged():
    model, x, mask = rough(1, 3, scale=4.0)
    limits = {"tolerance": 1e-9, "max_steps": 4}
    for mixture in (False, True):
        fit = laplace(model, x, mask, generator=generator(), mixture=mixture, **limits)
        assert not fit.converged[1:].any()
    assert laplace(model, x, mask, generator=generator()).converged.all()


@pytest.mark.parametrize("refine", [False, True])
@pytest.mark.parametrize("latents", [1, 2, 3])
def test_a_mixture_has_both_modes_and_their_masses(latents, refine):
    case = TwoModes(latents, shift=0.15)
    x, mask = case.data(ROWS, seed=3)
    fit = laplace(case.model, x, mask, generator=generator(), mixture=True, refine=refine)
    positive = (fit.q.components.mean[..., 0] > 0).double()
    assert (positive.sum(0) == 1).all()
    found = (fit.q.log_mass.exp() * positive).sum(0)

    def check(masses):
        torch.testing.assert_close(found, masses.exp(), atol=2e-3, rtol=0)

    masses = torch.log_softmax(case.log_masses(x, mask), 0)
    check(masses[0])
    assert_rejected(lambda: check(masses[1]))
    order = positive.argmax(0)
    rows = torch.arange(ROWS)
    means = torch.stack(
        [fit.q.components.mean[order, rows], fit.q.components.mean[1 - order, rows]]
    )
    torch.testing.assert_close(means, case.modes(x, mask), atol=0.02, rtol=0)
    torch.testing.assert_close(fit.elbo, case.log_evidence(x, mask), atol=5e-3, rtol=0)
    torch.testing.assert_close(
        fit.mean, (masses.exp()[..., None] * means).sum(0), atol=0.02, rtol=0
    )


def test_mirror_images_have_half_the_mass_each():
    case = TwoModes(2)
    x, mask = case.data(ROWS, seed=3)
    fit = laplace(case.model, x, mask, generator=generator(), mixture=True)
    torch.testing.assert_close(fit.q.log_mass.exp(), torch.full((2, ROWS), 0.5).double())
    torch.testing.assert_close(fit.mean[:, 0], torch.zeros(ROWS).double(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("starts", [1, 4])
def test_a_mixture_has_no_more_components_than_starts_nor_than_modes(starts):
    case = TwoModes(2)
    x, mask = case.data(ROWS, seed=3)
    fit = laplace(case.model, x, mask, generator=generator(), mixture=True, starts=starts)
    assert ((fit.q.log_mass > -torch.inf).sum(0) == min(starts, 2)).all()
    torch.testing.assert_close(fit.q.log_mass.exp().sum(0), torch.ones(ROWS).double())


def test_of_several_modes_the_heaviest_is_kept():
    case = TwoModes(2, shift=0.3)
    x, mask = case.data(20, seed=3)
    fit = laplace(case.model, x, mask, generator=generator())
    masses = case.log_masses(x, mask)
    clear = (masses[0] - masses[1]).abs() > 0.02
    assert clear.sum() > 10
    heavier = torch.where(masses[0] > masses[1], 1.0, -1.0).double()
    assert 3 < (heavier[clear] > 0).sum() < clear.sum() - 3  # both happen
    assert torch.equal(fit.mean[clear, 0].sign(), heavier[clear])
    torch.testing.assert_close(fit.elbo, masses.amax(0), atol=5e-3, rtol=0)


def test_modes_that_were_met_before_or_hold_next_to_nothing_are_given_up():
    case = TwoModes(2, shift=1.5)
    x, mask = case.data(40, seed=3)
    target, modes = Target.of(case.model, x, mask), case.modes(x, mask)
    near = 0.1 * torch.randn(40, 2, generator=generator(1)).double()
    found = find_modes(
        target, torch.stack([modes[0] + near, modes[1], modes[0] - near]), generator()
    )
    masses = case.log_masses(x, mask)
    behind = masses[:2] - masses.amax(0)
    kept = found.elbo > -torch.inf
    assert torch.equal(kept[1], behind[1] >= -10)
    assert torch.equal(kept[0] | kept[2], behind[0] >= -10)
    assert not (kept[0] & kept[2]).any()
    assert (~kept[1]).any()
    assert kept[1].any()
    torch.testing.assert_close(found.elbo.amax(0), masses.amax(0), atol=5e-3, rtol=0)
    assert found.converged.all()


def test_a_repeat_lies_within_a_deviation_of_one_that_is_better():
    def gaussians(*means):
        mean = torch.tensor(means)[:, None, None]
        return Gaussian(mean, torch.tensor([[[2.0]]]).expand(len(means), 1, 1, 1))

    def of(means, elbos):
        return repeats(gaussians(*means), torch.tensor(elbos)[:, None])[:, 0].tolist()

    assert of([0.0, 1.9, 4.0], [3.0, 2.0, 1.0]) == [False, True, False]
    assert of([0.0, 1.9, 4.0], [2.0, 3.0, 1.0]) == [True, False, False]
    assert of([0.0, 2.1], [2.0, 3.0]) == [False, False]
    assert of([5.0, 5.0, 5.0], [1.0, 1.0, 1.0]) == [False, True, True]  # the first of equals
    assert of([0.0, 0.0], [-torch.inf, 1.0]) == [True, False]


def test_a_repeat_is_found_by_the_scale_of_the_better_one_and_row_by_row():
    mean = torch.tensor([[[0.0, 0.0], [0.0, 0.0]], [[0.0, 1.5], [1.5, 0.0]]])
    scale = torch.diag_embed(torch.tensor([1.0, 2.0])).expand(2, 2, 2, 2)
    elbo = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    found = repeats(Gaussian(mean, scale), elbo)
    assert found.tolist() == [[False, False], [True, False]]


def test_a_mix_weighs_by_the_elbo_and_drops_repeats():
    mean = torch.tensor([0.0, 5.0, 0.1, -5.0]).double().view(4, 1, 1)
    scale = torch.ones(4, 1, 1, 1).double()
    elbo = torch.tensor([0.1, 0.3, 0.2, 0.0]).log()[:, None].double()
    q = mixture_of_modes(Ascent((mean, scale), elbo, torch.ones(4, 1, dtype=torch.bool)))
    assert isinstance(q, GaussianMixture)
    torch.testing.assert_close(q.log_mass.exp()[:, 0], torch.tensor([0.0, 0.6, 0.4, 0.0]).double())


def test_the_scale_is_a_root_of_the_inverse_curvature():
    model, x, mask = rough(3, 4)
    target = Target.of(model, x, mask)
    z = torch.randn(20, 4, generator=generator(), dtype=torch.float64)
    q = laplace_at(target, z)
    assert torch.equal(q.mean, z)
    expected = torch.linalg.inv(target.curvature(z)[1])
    torch.testing.assert_close(q.covariance, expected)
