import math

import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from elboroom.errors import UsageError
from elboroom.infer import exact_elbo, svi
from elboroom.model.posteriors import DiagonalGaussian, Gaussian, GaussianMixture, LowRankGaussian
from tests.support.fit_cases import EVENT, TwoModes, generator, pictures, small_vae
from tests.support.oracles import LinearGaussian, assert_rejected, random_masks

ROWS = 7
TOLERANCE = 0.01  # the default: what a row gains by a further round
STARTS = ["laplace", "prior", "encoder"]
NOISY = 5 * TOLERANCE  # what rounds that gain nothing any more may leave, where there is noise


def linear(latents):
    exact = LinearGaussian(pixels=8, latents=latents, seed=latents)
    return exact, exact.data(ROWS, seed=1), random_masks(ROWS, 8, seed=2)


def best_diagonal(exact, x, mask):
    """The posterior's mean, and the diagonal of its precision."""
    mean, precision = exact.posterior(x, mask)
    return mean, -0.5 * precision.diagonal(dim1=-1, dim2=-2).log()


def kl(exact, x, mask, q):
    """KL(q ‖ p(z | x_seen)) of a Gaussian, (B,)."""
    mean, precision = exact.posterior(x, mask)
    return kl_divergence(
        MultivariateNormal(q.mean, q.covariance),
        MultivariateNormal(mean, precision_matrix=precision),
    )


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("latents", [1, 2, 3, 6])
def test_the_best_diagonal_is_found_under_every_mask(latents, start):
    exact, x, mask = linear(latents)
    fit = svi(exact.model, x, mask, generator=generator(), start=start)
    assert isinstance(fit.q, DiagonalGaussian)
    mean, log_std = best_diagonal(exact, x, mask)
    highest = exact.elbo(x, mask, mean, log_std)
    reached = exact.elbo(x, mask, fit.q.mean, fit.q.log_std)
    assert fit.converged.all()
    assert (reached <= highest + 1e-9).all()
    if latents > 2:
        assert (highest - reached).max() < 2 * NOISY
        assert (highest - reached).mean() < NOISY / 2
    else:  # by quadrature
        torch.testing.assert_close(fit.mean, mean, atol=1e-4, rtol=0)
        torch.testing.assert_close(fit.q.log_std, log_std, atol=1e-4, rtol=0)


def test_the_best_diagonal_of_a_gaussian_posterior_is_known_before_the_first_step():
    exact, x, mask = linear(2)
    exact.weight[:, 1] += 3 * exact.weight[:, 0]  # the decoder's own: correlated latents
    fit = svi(exact.model, x, mask, generator=generator(), max_steps=1)
    assert fit.converged.all()
    torch.testing.assert_close(fit.q.log_std, best_diagonal(exact, x, mask)[1], atol=1e-4, rtol=0)
    far = svi(exact.model, x, mask, generator=generator(), max_steps=1, start="encoder")
    assert not far.converged.all()


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("latents", [1, 2, 3, 6])
def test_the_full_family_finds_the_posterior_under_every_mask(latents, start):
    exact, x, mask = linear(latents)
    fit = svi(exact.model, x, mask, generator=generator(), family="full", start=start)
    assert isinstance(fit.q, Gaussian)
    assert fit.converged.all()
    assert kl(exact, x, mask, fit.q).max() < (1e-6 if latents <= 2 else NOISY)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(("latents", "rank"), [(1, 1), (2, 1), (3, 2)])
def test_the_low_rank_family_finds_a_posterior_that_it_holds(latents, rank, start):
    exact, x, mask = linear(latents)
    options = {"family": "low-rank", "rank": rank, "start": start}
    fit = svi(exact.model, x, mask, generator=generator(), **options)
    assert isinstance(fit.q, LowRankGaussian)
    assert fit.q.factor.shape == (ROWS, latents, rank)
    assert fit.converged.all()
    assert kl(exact, x, mask, fit.q).max() < NOISY


@pytest.mark.parametrize(
    ("family", "start"),
    [
        *(("mixture", start) for start in STARTS),
        pytest.param("flow", "encoder", marks=pytest.mark.full),
    ],
)
def test_richer_families_reach_the_evidence_too(family, start):
    exact, x, mask = linear(2)
    fit = svi(exact.model, x, mask, generator=generator(), family=family, start=start)
    log_weights = fit.log_weights(4_000)
    gap = exact.log_evidence(x, mask) - log_weights.mean(0)
    error = log_weights.std(0) / 4_000**0.5
    assert fit.converged.all()
    assert (gap > -4.5 * error - 1e-9).all()
    assert (gap < NOISY + 4.5 * error).all()


def test_the_reported_elbo_is_the_exact_one_within_its_error():
    exact = LinearGaussian(pixels=6, latents=2, seed=30)
    x, mask = exact.data(40, seed=31), random_masks(40, 6, seed=32)
    fit = svi(exact.model, x, mask, generator=generator())
    expected = exact.elbo(x, mask, fit.q.mean, fit.q.log_std)

    def check(elbo):
        assert ((elbo - expected).abs() < 4.5 * fit.elbo_standard_error + 1e-9).all()

    check(fit.elbo)
    assert_rejected(lambda: check(fit.elbo + 0.5))
    assert_rejected(lambda: check(exact.log_evidence(x, mask) + 0.2))


SLOW_FLOW = pytest.param("flow", marks=pytest.mark.full)


@pytest.mark.parametrize("family", ["full", "low-rank", "mixture", SLOW_FLOW])
def test_what_the_diagonal_cannot_hold_the_other_families_gain(family):
    model, (x, mask) = small_vae(3, 3, scale=3.0), pictures(8, seed=4)
    diagonal = svi(model, x, mask, generator=generator())
    fit = svi(model, x, mask, generator=generator(), family=family, rank=2)
    log_weights = fit.log_weights(2_000)
    gain = log_weights.mean(0) - exact_elbo(model, x, mask, diagonal.q)
    error = log_weights.std(0) / 2_000**0.5
    assert (gain > -NOISY - 4.5 * error).all()
    assert gain.max() > 0.05


@pytest.mark.parametrize("latents", [1, 2, 3])
def test_a_mixture_holds_two_modes_and_a_gaussian_one(latents):
    case = TwoModes(latents)
    x, mask = case.data(ROWS, seed=3)
    full, mixture = (
        svi(case.model, x, mask, generator=generator(), family=f) for f in ("full", "mixture")
    )
    assert isinstance(mixture.q, GaussianMixture)
    # Of two mirror images one holds half of the evidence.
    evidence = case.log_evidence(x, mask)
    torch.testing.assert_close(full.elbo, evidence - math.log(2), atol=NOISY, rtol=0)
    torch.testing.assert_close(mixture.elbo, evidence, atol=NOISY, rtol=0)
    positive = (mixture.q.components.mean[..., 0] > 0).double()
    masses = (mixture.q.log_mass.exp() * positive).sum(0)
    torch.testing.assert_close(masses, torch.full((ROWS,), 0.5).double(), atol=0.1, rtol=0)
    assert (mixture.sample(200)[..., 0] > 0).double().mean(0).sub(0.5).abs().max() < 0.25


@pytest.mark.parametrize("start", ["laplace", "prior"])
@pytest.mark.parametrize("family", ["diagonal", "full"])
def test_of_several_starts_the_fit_with_the_largest_elbo_is_kept(family, start):
    case = TwoModes(2, shift=0.3)
    x, mask = case.data(20, seed=3)
    options = {"family": family, "start": start}
    fit = svi(case.model, x, mask, generator=generator(), **options)
    masses = case.log_masses(x, mask)
    clear = (masses[0] - masses[1]).abs() > 0.2
    heavier = torch.where(masses[0] > masses[1], 1.0, -1.0).double()
    assert torch.equal(fit.mean[clear, 0].sign(), heavier[clear])
    one = svi(case.model, x, mask, generator=generator(), starts=1, **options)
    assert (fit.elbo > one.elbo - NOISY).all()


def test_the_encoders_start_is_where_the_encoder_looks():
    # Its mean is on the side of z_1 < 0 for every row, where the lighter mode is caught.
    case = TwoModes(2)
    x, mask = case.data(ROWS, seed=3)
    for side in (-2.0, 2.0):
        case.model.encoder.mean.data = torch.tensor([side, 0.0]).double()
        fit = svi(case.model, x, mask, generator=generator(), family="full", start="encoder")
        assert (fit.mean[:, 0].sign() == math.copysign(1, side)).all()


@pytest.mark.parametrize("family", ["diagonal", "full", "low-rank", "mixture", "flow"])
def test_a_row_without_time_to_stop_is_not_converged(family):
    model, (x, mask) = small_vae(1, 3, scale=4.0), pictures(6, seed=1)
    limits = {"tolerance": 1e-9, "max_steps": 4}
    fit = svi(model, x, mask, generator=generator(), family=family, rank=2, **limits)
    assert not fit.converged[1:].any()


@pytest.mark.parametrize("family", ["diagonal", "full"])
def test_a_smaller_tolerance_brings_the_fit_closer(family):
    exact, x, mask = linear(3)
    options = {"family": family, "start": "encoder"}
    rough, fine = (
        svi(exact.model, x, mask, generator=generator(), tolerance=t, k=k, **options)
        for t, k in ((0.3, 4), (0.001, 200))
    )
    mean, log_std = best_diagonal(exact, x, mask)
    of_best = kl(exact, x, mask, DiagonalGaussian(mean, log_std)) if family == "diagonal" else 0.0
    rough, fine = (kl(exact, x, mask, fit.q) - of_best for fit in (rough, fine))
    assert fine.max() < 0.02
    assert fine.mean() < 0.5 * rough.mean()


@pytest.mark.parametrize("rank", [0, 4])
def test_a_rank_that_does_not_fit_is_refused(rank):
    with pytest.raises(UsageError, match=f"rank {rank} does not fit 3 latents"):
        svi(
            *(small_vae(1, 3), torch.ones(2, *EVENT).double()),
            generator=generator(),
            family="low-rank",
            rank=rank,
        )


@pytest.mark.parametrize("option", ["family", "start"])
def test_an_unknown_name_is_refused(option):
    with pytest.raises(UsageError, match=f"{option} cannot be 'best'"):
        svi(small_vae(1), torch.ones(2, *EVENT).double(), generator=generator(), **{option: "best"})
