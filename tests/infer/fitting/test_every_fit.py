"""What holds of every method that fits a density to each row's posterior."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elboroom.errors import UsageError
from elboroom.infer import exact_elbo, grid, laplace, svi
from tests.support.fit_cases import EVENT, FITS, generator, parameters, pictures, small_vae
from tests.support.oracles import LinearGaussian, assert_mean, assert_rejected, random_masks

every_fit = pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
each_function = pytest.mark.parametrize("fit", [laplace, svi])


def assert_same(first, second, *, atol=0.0):
    for a, b in zip(first, second, strict=True):
        torch.testing.assert_close(a, b, atol=atol, rtol=0)


def assert_same_fit(first, second, *, atol=0.0):
    assert torch.equal(first.converged, second.converged)
    assert_same(parameters(first), parameters(second), atol=atol)


@every_fit
def test_rows_do_not_depend_on_their_batch(fit):
    # In three dimensions the ascent has noise. Row 0, which sees nothing, stops before the others.
    model, (x, mask) = small_vae(2, 3), pictures(6, seed=3)
    whole = fit(model, x, mask, generator=generator())
    order = torch.tensor([4, 1, 5, 3, 2, 0])
    shuffled = fit(model, x[order], mask[order], generator=generator())
    assert_same([p[order] for p in parameters(whole)], parameters(shuffled), atol=1e-6)
    for rows in ([1], [5, 4]):
        part = fit(model, x[rows], mask[rows], generator=generator())
        assert torch.equal(whole.converged[rows], part.converged)
        assert_same([p[rows] for p in parameters(whole)], parameters(part), atol=1e-6)


@every_fit
def test_the_same_generator_gives_the_same_fit_with_gradients_on_or_off(fit):
    model, (x, mask) = small_vae(2, 3), pictures(3, seed=4)
    with torch.enable_grad():
        a = fit(model, x, mask, generator=generator(1))
    with torch.no_grad():
        b = fit(model, x, mask, generator=generator(1))
    assert_same_fit(a, b)
    assert torch.equal(a.elbo, b.elbo)
    assert torch.equal(a.sample(3), b.sample(3))
    assert not any(p.requires_grad for p in (*parameters(a), a.elbo, a.sample(1)))
    c = fit(model, x, mask, generator=generator(2))
    assert not torch.equal(a.elbo, c.elbo)
    assert not torch.equal(a.mean, c.mean)


@every_fit
def test_nothing_else_is_touched(fit):
    model, (x, mask) = small_vae(2, 3), pictures(3, seed=5)
    before = [t.clone() for t in (*model.parameters(), x, mask)]
    state = torch.get_rng_state()
    found = fit(model, x, mask, generator=generator())
    found.mean, found.sample(2), found.log_weights(2), found.log_prob(found.sample(1))
    assert torch.equal(torch.get_rng_state(), state)
    assert_same(before, (*model.parameters(), x, mask))
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


@every_fit
@pytest.mark.parametrize("latents", [2, 3])
def test_rows_that_see_nothing_get_the_prior(fit, latents):
    model, (x, _) = small_vae(2, latents), pictures(2, seed=7)
    found = fit(model, x, torch.zeros(EVENT, dtype=torch.bool), generator=generator())
    draws = found.sample(4_000)
    # What noise moves a fit by is less than the tolerance of 0.01 nats: d² / 2 of a shift by d.
    kl = found.log_prob(draws) - model.prior(2).log_prob(draws)
    assert (kl.mean(0) < 0.01 + 4.5 * kl.std(0) / 4_000**0.5).all()
    assert found.mean.abs().max() < 0.15
    assert (draws.std(0) - 1).abs().max() < 0.15


@every_fit
def test_no_mask_is_a_mask_of_all_true(fit):
    model, (x, mask) = small_vae(2, 3), pictures(3, seed=8)
    found = fit(model, x, generator=generator())
    same = fit(model, x, torch.ones_like(mask), generator=generator())
    assert_same_fit(found, same, atol=1e-6)


@each_function
def test_a_mask_may_be_that_of_one_event(fit):
    model, (x, mask) = small_vae(2, 3), pictures(3, seed=9)
    found = fit(model, x, mask[1], generator=generator())
    same = fit(model, x, mask[1].expand(x.shape), generator=generator())
    assert_same_fit(found, same)


@each_function
def test_a_mask_that_does_not_fit_is_refused(fit):
    call = partial(fit, small_vae(1, 3), torch.ones(2, *EVENT).double(), generator=generator())
    with pytest.raises(UsageError, match=r"its type is torch\.float32"):
        call(torch.ones(2, *EVENT))
    with pytest.raises(UsageError, match="does not broadcast"):
        call(torch.ones(3, *EVENT, dtype=torch.bool))


@each_function
def test_nan_is_refused_where_it_is_seen_and_harmless_where_it_is_not(fit):
    model, (x, _) = small_vae(1, 3), pictures(2, seed=10)
    x[0, 0, 0, 0] = torch.nan
    with pytest.raises(UsageError, match="NaN"):
        fit(model, x, generator=generator())
    clean = fit(model, x.nan_to_num(), ~x.isnan(), generator=generator())
    missing = fit(model, x, ~x.isnan(), generator=generator())
    assert_same_fit(clean, missing)
    assert torch.equal(clean.elbo, missing.elbo)


@every_fit
def test_a_float32_model_gets_the_fit_of_float64(fit):
    model, (x, mask) = small_vae(2, scale=1.5), pictures(4, seed=11)
    wide = fit(model, x, mask, generator=generator()).log_weights(4_000)
    found = fit(model.float(), x.float(), mask, generator=generator())
    narrow = found.log_weights(4_000)
    outputs = (*parameters(found), found.mean, found.elbo, found.elbo_standard_error, narrow)
    assert {t.dtype for t in outputs} == {torch.float32}
    error = (wide.var(0) + narrow.var(0)).sqrt() / 4_000**0.5
    assert ((wide.mean(0) - narrow.mean(0)).abs() < 0.02 + 4.5 * error).all()


@every_fit
def test_draws_density_and_weights_are_those_of_q(fit):
    model, (x, mask) = small_vae(2, scale=1.5), pictures(4, seed=13)
    found = fit(model, x, mask, generator=generator())
    draws = found.sample(4_000)
    assert draws.shape == (4_000, 4, 2)
    torch.testing.assert_close(found.log_prob(draws), found.q.log_prob(draws))
    # E_q[ N(z; 0, I) / q(z) ] = 1
    ratio = (model.prior(4).log_prob(draws) - found.log_prob(draws)).exp()
    assert_mean(ratio, 1.0)
    assert_rejected(lambda: assert_mean(1.05 * ratio, 1.0))
    if FITS["flow"] is not fit:  # whose mean is an estimate
        assert_mean(draws, found.mean)
    log_weights = found.log_weights(7)
    assert log_weights.shape == (7, 4)
    assert set(found.diagnostics) >= {"converged", "elbo_standard_error"}
    assert {v.shape for v in found.diagnostics.values()} == {(4,)}


@every_fit
def test_the_reported_elbo_is_that_of_the_fit_within_its_error(fit):
    exact = LinearGaussian(pixels=5, latents=2, seed=40)
    x, mask = exact.data(24, seed=41), random_masks(24, 5, seed=42)
    exact.model.decoder.register_forward_hook(lambda module, z, output: output.clamp(-1, 1))
    found = fit(exact.model, x, mask, generator=generator())
    log_weights = found.log_weights(2_000)
    expected, error = log_weights.mean(0), log_weights.std(0) / 2_000**0.5

    def check(elbo):
        spread = (found.elbo_standard_error.square() + error.square()).sqrt()
        assert ((elbo - expected).abs() <= 4.5 * spread + 1e-6).all()

    check(found.elbo)
    assert_rejected(lambda: check(found.elbo + 10 * found.elbo_standard_error + 1e-5))
    # The errors are not too large either: of 24 some are used up.
    assert ((found.elbo - expected).abs() > 0.5 * found.elbo_standard_error).sum() > 6


@every_fit
@settings(max_examples=3)
@given(st.integers(0, 10**6))
def test_no_fit_lies_above_the_evidence_of_the_grid(fit, seed):
    model, (x, mask) = small_vae(seed), pictures(4, seed)
    evidence = grid(model, x, mask, generator=generator()).log_evidence
    found = fit(model, x, mask, generator=generator())
    if found.q.covariance is not None:
        assert (exact_elbo(model, x, mask, found.q) <= evidence + 1e-3).all()
    log_weights = found.log_weights(2_000)
    error = log_weights.std(0) / 2_000**0.5

    def check(elbo):
        assert (elbo <= evidence + 4.5 * error + 1e-3).all()

    check(log_weights.mean(0))
    assert_rejected(lambda: check(log_weights.amax(0)))  # the best draw is no bound
