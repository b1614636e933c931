import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elboroom.config import ModelConfig
from elboroom.errors import UsageError
from elboroom.infer import exact_elbo, grid, svi
from elboroom.infer.seen import on_seen_pixels
from elboroom.model import VAE
from oracles import LinearGaussian, assert_mean, assert_rejected, random_masks

EVENT = (1, 4, 4)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def linear_fit():
    exact = LinearGaussian(pixels=6, latents=2, seed=30)
    x, mask = exact.data(7, seed=31), random_masks(7, 6, seed=32)
    return exact, x, mask, svi(exact.model, x, mask, generator=generator(), steps=300)


def test_the_optimum_of_the_family_is_found_under_every_mask():
    exact, x, mask, fit = linear_fit()
    mean, precision = exact.posterior(x, mask)
    # The best diagonal q has the posterior's mean, and the diagonal of its precision.
    log_std = -0.5 * precision.diagonal(dim1=-1, dim2=-2).log()
    best = exact.elbo(x, mask, mean, log_std)
    reached = exact.elbo(x, mask, fit.q.mean, fit.q.log_std)
    assert (reached <= best + 1e-9).all()
    assert (best - reached).max() < 0.01
    torch.testing.assert_close(fit.mean, mean, atol=0.08, rtol=0)
    torch.testing.assert_close(fit.q.log_std, log_std, atol=0.08, rtol=0)


def test_the_reported_elbo_is_that_of_the_fit_within_its_error():
    exact, x, mask, fit = linear_fit()
    expected = exact.elbo(x, mask, fit.q.mean, fit.q.log_std)

    def check(elbo):
        assert ((elbo - expected).abs() < 4.5 * fit.elbo_standard_error + 1e-9).all()

    check(fit.elbo)
    assert_rejected(lambda: check(fit.elbo + 0.5))


def test_a_row_that_sees_nothing_gets_the_prior():
    *_, fit = linear_fit()
    torch.testing.assert_close(fit.q.mean[0], torch.zeros(2).double(), atol=1e-3, rtol=0)
    torch.testing.assert_close(fit.q.log_std[0], torch.zeros(2).double(), atol=1e-3, rtol=0)


def test_draws_and_log_prob_are_those_of_q():
    *_, fit = linear_fit()
    draws = fit.sample(20_000)
    assert_mean(draws, fit.mean)
    torch.testing.assert_close(fit.log_prob(draws), fit.q.log_prob(draws))


def test_the_decoder_stays_frozen():
    exact, x, mask, _ = linear_fit()
    before = [p.clone() for p in exact.model.parameters()]
    svi(exact.model, x, mask, generator=generator(), steps=3)
    assert all(torch.equal(a, b) for a, b in zip(before, exact.model.parameters(), strict=True))
    assert all(p.grad is None for p in exact.model.parameters())


def small_vae(seed, latents=2):
    model = VAE.from_config(ModelConfig(latents, (12,)), EVENT, generator=generator(seed))
    for p in model.decoder.parameters():
        p.data *= 4  # posteriors that differ from the prior, with more than one mode
    return model


@settings(max_examples=15)
@given(st.integers(0, 10**6))
def test_no_fit_lies_above_the_evidence_of_the_grid(seed):
    model, g = small_vae(seed), generator(seed)
    x = (torch.rand(5, *EVENT, generator=g) < 0.4).float()
    mask = torch.rand(5, *EVENT, generator=g) < 0.6
    exact = grid(model, x, mask, generator=g)
    q = svi(model, x, mask, generator=g, k=10, steps=20).q
    kl = exact.log_evidence - exact_elbo(model, x, mask, q)
    assert (kl >= -1e-4).all()


@given(st.integers(0, 10**6))
def test_leaving_out_pixels_that_no_row_sees_changes_no_density(seed):
    model, g = small_vae(seed), generator(seed)
    x = (torch.rand(3, *EVENT, generator=g) < 0.4).float()
    mask = (torch.rand(3, *EVENT, generator=g) < 0.6) & (torch.rand(EVENT, generator=g) < 0.5)
    z = torch.randn(4, 3, 2, generator=g)
    small, x_seen, mask_seen = on_seen_pixels(model, x, mask)
    torch.testing.assert_close(small.log_joint(x_seen, z, mask_seen), model.log_joint(x, z, mask))
    assert x_seen.shape[1] == mask.any(0).sum()


def test_the_same_generator_gives_the_same_fit():
    model, x = small_vae(1), torch.ones(2, *EVENT)
    a, b, c = (svi(model, x, generator=generator(s), steps=5).mean for s in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.ones(2, *EVENT), "its type is torch.float32"),
        (torch.ones(3, *EVENT, dtype=torch.bool), "does not broadcast"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(mask, message):
    with pytest.raises(UsageError, match=message):
        svi(small_vae(1), torch.ones(2, *EVENT), mask, generator=generator())


def test_nan_is_refused_where_it_is_seen_and_harmless_where_it_is_not():
    model, x = small_vae(1), torch.ones(2, *EVENT)
    x[0, 0, 0, 0] = torch.nan
    with pytest.raises(UsageError, match="NaN"):
        svi(model, x, generator=generator())
    clean = svi(model, x.nan_to_num(), ~x.isnan(), generator=generator(), steps=5)
    missing = svi(model, x, ~x.isnan(), generator=generator(), steps=5)
    assert torch.equal(clean.mean, missing.mean)
    assert torch.equal(clean.elbo, missing.elbo)


def test_a_caller_without_gradients_gets_the_same_fit():
    model, x = small_vae(1), torch.ones(2, *EVENT)
    with torch.no_grad():
        silent = svi(model, x, generator=generator(), steps=5).mean
    assert torch.equal(silent, svi(model, x, generator=generator(), steps=5).mean)
