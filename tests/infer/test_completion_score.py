"""Scores of completions against closed forms and two grids, and what they say of themselves."""

import math
from dataclasses import replace
from functools import cache, partial
from importlib import import_module

import pytest
import torch
from torch.distributions import MultivariateNormal

from elboroom import infer
from elboroom.config import ModelConfig
from elboroom.errors import UsageError
from elboroom.infer.chains.posterior import ChainPosterior
from elboroom.infer.completion_score import completion_score, predictive_score, score_text
from elboroom.infer.encoder import encoder
from elboroom.infer.gibbs import metropolis_within_gibbs
from elboroom.infer.laplace import laplace
from elboroom.infer.methods import infer as infer_by
from elboroom.infer.posterior import Posterior, VariationalPosterior
from elboroom.infer.sir import sir
from elboroom.infer.target import Target
from elboroom.model.posteriors import Gaussian
from elboroom.model.vae import VAE
from tests.support.oracles import LinearGaussian, assert_mean, assert_rejected, random_masks
from tests.support.tempered import log_evidence

ROWS, REPEATS = 6, 40
MODULE = import_module("elboroom.infer.completion_score")


def generator(seed=1):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("kind", ["exact", "estimate", "lower bound", "unreliable"])
def test_a_score_that_rounds_to_zero_has_no_sign(kind):
    assert "-" not in score_text(-1e-9, kind, 0.1)


class Draws(Posterior):
    """A posterior that only draws."""

    def __init__(self, target, stored):
        object.__setattr__(self, "target", target)
        object.__setattr__(self, "stored", stored)

    @property
    def mean(self):
        return self.stored.mean(0)

    @property
    def diagnostics(self):
        return {}

    def sample(self, k):
        return self.stored[:k]


def linear():
    exact = LinearGaussian(pixels=5, latents=2, seed=60)
    return exact, exact.data(ROWS, seed=61), random_masks(ROWS, 5, seed=62)


def repeated():
    """Every row REPEATS times, each to be scored with draws of its own."""
    exact, x, mask = linear()
    return exact, x.repeat(REPEATS, 1), mask.repeat(REPEATS, 1)


def by_row(values):
    return values.unflatten(0, (REPEATS, ROWS))


def truth(exact, x, mask):
    """log p(x_unseen | x_seen) = log p(x) − log p(x_seen)."""
    return exact.log_evidence(x, torch.ones_like(mask)) - exact.log_evidence(x, mask)


def fit(exact, x, mask, shift=0.0, stretch=1.0):
    """The exact posterior, moved and stretched."""
    mean, precision = exact.posterior(x, mask)
    root = torch.linalg.cholesky(torch.linalg.inv(precision))
    q = Gaussian(mean + shift * root.sum(-1), stretch * root)
    return VariationalPosterior.of(Target.of(exact.model, x, mask), q, generator())


def draws_of(problem, count=500, **changes):
    posterior = fit(*problem, **changes)
    return Draws(posterior.target, posterior.sample(count))


def score(problem, posterior, draws=500, by=completion_score):
    exact, x, mask = problem
    return by(exact.model, x, mask, posterior, generator=generator(2), draws=draws)


predicted = partial(score, by=predictive_score)


def particles(problem):
    exact, x, mask = problem
    wide = fit(*problem, 0.5, 1.5)
    return sir(exact.model, x, mask, generator=generator(), proposal=wide, particles=500)


@cache
def chains():
    """MwG, its q wide and so slow to forget where it has been: REPEATS groups of four chains."""
    exact, x, mask = linear()
    exact.model.encoder.log_std.data.fill_(0.0)
    options = {"generator": generator(), "chains": 4 * REPEATS, "sweeps": 300}
    draws = metropolis_within_gibbs(exact.model, x, mask, **options).draws
    return draws.unflatten(1, (REPEATS, 4)).transpose(1, 2).flatten(2, 3)


def of_chains(problem, shift=0.0):
    exact, x, mask = problem
    return ChainPosterior(Target.of(exact.model, x, mask), chains() + shift, None, generator())


POSTERIORS = {
    "an exact fit": fit,
    "a wrong fit": lambda *problem: fit(*problem, 0.5, 1.5),
    "a useless fit": lambda *problem: fit(*problem, 9.0, 0.2),
    "particles": lambda *problem: particles(problem),
    "plain draws": lambda *problem: draws_of(problem),
    "chains": lambda *problem: of_chains(problem),
    "chains that are stuck elsewhere": lambda *problem: of_chains(problem, shift=5.0),
}
PREDICTIVE = {
    "an exact fit": fit,
    "particles": lambda *problem: particles(problem),
    "plain draws": lambda *problem: draws_of(problem),
    "chains": lambda *problem: of_chains(problem),
}


def check(found, expected):
    # the ratio is not biased to first order, its logarithm is by −SE²/2
    off = by_row(found.log_prob + found.standard_error.square() / 2) - expected
    assert_mean(off, 0.0)
    ratio = by_row(found.standard_error)[:, :-1].mean(0) / off[:, :-1].std(0)
    # the spread of n repeats is itself known to one part in √2n
    assert (ratio - 1).abs().max() < 4.5 / math.sqrt(2 * REPEATS)


def check_and_plant(found, expected):
    check(found, expected)
    assert_rejected(lambda: check(replace(found, log_prob=found.log_prob + 0.1), expected))
    small = replace(found, standard_error=0.5 * found.standard_error)
    assert_rejected(lambda: check(small, expected))
    # the last row has nothing unseen
    assert torch.equal(by_row(found.log_prob)[:, -1], torch.zeros(REPEATS).double())
    assert torch.equal(by_row(found.standard_error)[:, -1], torch.zeros(REPEATS).double())
    assert set(found.kinds[ROWS - 1 :: ROWS]) == {"exact"}


@pytest.mark.parametrize("kind", POSTERIORS)
def test_scores_are_the_differences_of_evidences_and_their_errors_calibrated(kind):
    problem = repeated()
    found = score(problem, POSTERIORS[kind](*problem), draws=200)
    check_and_plant(found, truth(*linear()))
    assert found.reliable.all()


@pytest.mark.parametrize("kind", PREDICTIVE)
def test_an_exact_method_predicts_with_the_score_of_the_model(kind):
    problem = repeated()
    found = predicted(problem, PREDICTIVE[kind](*problem), draws=1_200)
    check_and_plant(found, truth(*linear()))


def test_a_method_predicts_what_its_own_q_believes():
    exact, x, mask = linear()
    problem, q = repeated(), fit(exact, x, mask, 0.5, 1.5).q
    # ∫ p(x_unseen | z) q(z) dz = N(x_unseen; W μ + b, W Σ Wᵀ + I)
    mean, covariance = q.mean @ exact.weight.T + exact.bias, q.covariance
    spread = exact.weight @ covariance @ exact.weight.T + torch.eye(5).double()
    rows = [
        MultivariateNormal(mean[i, u], spread[i][u][:, u]).log_prob(x[i, u]) if u.any() else 0.0
        for i, u in enumerate(~mask)
    ]
    expected = torch.tensor(rows).double()
    wrong = fit(*problem, 0.5, 1.5)
    check(predicted(problem, wrong), expected)
    assert_rejected(lambda: check(score(problem, wrong, draws=200), expected))
    check(predicted(problem, draws_of(problem, shift=0.5, stretch=1.5)), expected)


def surprise():
    exact, x, mask = linear()
    mask = torch.zeros_like(mask)
    x = (exact.weight @ torch.full((2,), 4.0).double() + exact.bias).expand(ROWS, -1)
    return exact, x, mask


def test_the_modes_of_the_whole_image_find_what_explains_a_surprise():
    problem = surprise()
    expected = truth(*problem)

    def close(found):
        off = found.log_prob - expected
        assert (off.abs() < 4.5 * found.standard_error).all()
        assert found.standard_error.max() < 0.1

    for by in (completion_score, predictive_score):
        found = score(problem, fit(*problem), by=by)
        close(found)
        assert found.ess.min() > 200
        assert set(found.kinds) == {"estimate"}
    blind = predicted(problem, draws_of(problem))
    assert blind.ess.max() < 10
    assert set(blind.kinds) == {"lower bound"}
    assert_rejected(lambda: close(blind))


def test_chains_that_never_moved_predict_nothing_reliable():
    exact, x, mask = linear()
    still = fit(exact, x, mask).mean.expand(100, 4, -1, -1)
    posterior = ChainPosterior(Target.of(exact.model, x, mask), still, None, generator())
    assert set(predicted((exact, x, mask), posterior).kinds[:-1]) == {"unreliable"}


def test_scores_whose_weights_cannot_tell_say_so(monkeypatch):
    exact, x, mask = problem = surprise()
    mask[:] = torch.tensor([True, True, False, False, False])
    useless = fit(exact, x, mask, 6.0, 0.1)

    def covering(part, whole):
        modes = {int(mask.sum()): part, mask.numel(): whole}
        fits = lambda model, x, seen, generator: modes[int(seen.sum())].q  # noqa: E731
        monkeypatch.setattr(MODULE, "wide_modes", fits)
        return score(problem, useless)

    seen, everything = fit(exact, x, mask, 0.1, 1.5), fit(exact, x, mask | True, 0.1, 1.5)
    found = covering(seen, everything)
    assert set(found.kinds) == {"estimate"}
    torch.testing.assert_close(found.log_prob, truth(*problem), atol=0.5, rtol=0)
    too_low = covering(fit(exact, x, mask, 0.0, 0.3), fit(exact, x, mask | True, 9.0, 0.1))
    assert not too_low.reliable.any()
    assert set(covering(useless, useless).kinds) == {"unreliable"}
    columns = too_low.columns("score")
    assert all(math.isnan(error) for error in columns["score_standard_error"])
    assert len(columns["score_kind"]) == ROWS


def test_where_only_the_rest_is_badly_covered_the_score_is_a_lower_bound(monkeypatch):
    exact, x, mask = problem = surprise()
    seen, elsewhere = fit(exact, x, mask, 0.1, 1.3), fit(exact, x, mask, 0.1, 1.2)
    modes = iter((seen.q, elsewhere.q))
    fits = lambda *_, generator: next(modes)  # noqa: E731
    monkeypatch.setattr(MODULE, "wide_modes", fits)
    found = score(problem, fit(*problem))
    assert set(found.kinds) == {"lower bound"}
    assert (found.log_prob < truth(*problem)).all()


@pytest.mark.parametrize(
    ("ess", "k_hat", "kind"),
    [
        ((50.0, 50.0), (0.69, 0.69), "estimate"),
        ((49.0, 50.0), (0.69, 0.69), "unreliable"),
        ((50.0, 50.0), (0.71, 0.69), "unreliable"),
        ((50.0, 49.0), (0.69, 0.69), "lower bound"),
        ((50.0, 50.0), (0.69, 0.71), "lower bound"),
    ],
)
def test_a_small_ess_or_a_large_k_hat_alone_is_enough(monkeypatch, ess, k_hat, kind):
    for name, values in (("importance_ess", ess), ("pareto_k", k_hat)):
        each = iter(values)  # of the weights, and of their products with p(x_unseen | z)
        found = lambda weights, each=each: torch.full_like(weights[0], next(each))  # noqa: E731
        monkeypatch.setattr(MODULE, name, found)
    problem = linear()
    assert set(predicted(problem, draws_of(problem)).kinds[:-1]) == {kind}


def test_particles_of_a_useless_proposal_predict_nothing_reliable():
    exact, x, mask = linear()
    options = {"proposal": fit(exact, x, mask, 6.0, 0.1), "particles": 500}
    posterior = sir(exact.model, x, mask, generator=generator(), **options)
    found = predicted((exact, x, mask), posterior)
    assert set(found.kinds[:-1]) == {"unreliable"}
    assert set(score((exact, x, mask), posterior).kinds[:-1]) == {"estimate"}


def test_chains_that_disagree_predict_nothing_reliable_whatever_their_ess():
    exact, x, mask = linear()
    draws = fit(exact, x, mask).sample(1_200).unflatten(0, (300, 4))
    target = Target.of(exact.model, x, mask)
    agree = predicted((exact, x, mask), ChainPosterior(target, draws, None, generator()))
    assert (agree.rhat < 1.01).all()
    assert set(agree.kinds[:-1]) == {"estimate"}
    apart = draws + torch.linspace(0, 0.5, 4).double()[:, None, None]
    found = predicted((exact, x, mask), ChainPosterior(target, apart, None, generator()))
    assert (found.rhat > 1.01).all()
    assert found.ess.min() > 50
    assert set(found.kinds[:-1]) == {"unreliable"}


def test_a_score_is_written_as_what_it_is():
    assert score_text(-72.634, "estimate", 0.031) == "-72.63 ± 0.03"
    assert score_text(-72.634, "exact", 0.0) == "-72.63"
    assert score_text(-72.634, "lower bound", 0.031) == "≥ -72.6"
    assert score_text(-72.634, "unreliable", 0.031) == "(-72.6)"


def test_the_score_of_a_grid_is_exact():
    exact, x, mask = linear()
    posterior = infer.grid(exact.model, x, mask, generator=generator())
    for by in (completion_score, predictive_score):
        found = score((exact, x, mask), posterior, by=by)
        torch.testing.assert_close(found.log_prob, truth(exact, x, mask), atol=2e-3, rtol=0)
        assert set(found.kinds) == {"exact"}
        assert found.log_prob[-1] == 0


def test_errors_of_chains_count_what_their_draws_have_in_common():
    problem = repeated()
    found = predicted(problem, of_chains(problem), 1_200)
    target, draws = of_chains(problem).target, chains()
    independent = predicted(problem, Draws(target, draws.flatten(0, 1)), 1_200)
    torch.testing.assert_close(found.log_prob, independent.log_prob)
    ratio = by_row(found.standard_error)[:, :-1].mean(0)
    ratio /= by_row(independent.standard_error)[:, :-1].mean(0)
    assert ratio.min() > 1.2


def test_errors_of_chains_that_alternate_stay_positive():
    exact, x, mask = linear()
    z = fit(exact, x, mask).sample(100)
    mean = exact.posterior(x, mask)[0]
    swinging = torch.stack([z, 2 * mean - z], 1).flatten(0, 1)[:, None]
    posterior = ChainPosterior(Target.of(exact.model, x, mask), swinging, None, generator())
    found = predicted((exact, x, mask), posterior)
    assert (found.standard_error[:-1] > 0).all()


def test_long_chains_are_thinned():
    exact, x, mask = linear()
    draws = fit(exact, x, mask).sample(4_000).unflatten(0, (1_000, 4))
    target = Target.of(exact.model, x, mask)
    found = predicted((exact, x, mask), ChainPosterior(target, draws, None, generator()), 400)
    expected = predicted((exact, x, mask), Draws(target, draws[::10].flatten(0, 1)), 400)
    torch.testing.assert_close(found.log_prob, expected.log_prob)


def bernoulli(latents=2):
    event, g = (1, 3, 4), generator(43)
    model = VAE.from_config(ModelConfig(latents, (12,)), event, generator=g)
    for p in model.decoder.parameters():
        p.data *= 3
    x = (torch.rand(ROWS, *event, generator=g) < 0.4).float()
    mask = torch.rand(ROWS, *event, generator=g) < 0.5
    mask[0], mask[-1] = False, True
    return model, x, mask


def close(found, expected, error=2e-3):
    """Check each score; two grids each have a tolerance of 1e-3 nats."""
    off = (found.log_prob - expected).abs()
    assert (off < 4.5 * found.standard_error + error).all()
    assert found.standard_error.max() < 0.1
    assert found.log_prob[-1] == 0
    assert found.reliable.all()


@pytest.mark.parametrize("method", ["encoder", "svi", "sir", "pseudo-gibbs"])
def test_scores_of_a_bernoulli_decoder_are_those_of_two_grids(method):
    model, x, mask = bernoulli()
    whole, part = (infer.grid(model, x, m, generator=generator()) for m in (None, mask))
    expected = (whole.log_evidence - part.log_evidence).float()
    posterior = infer_by(method, model, x, mask, generator=generator())
    found = completion_score(model, x, mask, posterior, generator=generator(2))
    close(found, expected)
    planted = replace(found, log_prob=whole.log_evidence.float())  # that of all pixels
    assert_rejected(lambda: close(planted, expected))


def test_scores_in_four_dimensions_are_those_of_sequential_monte_carlo():
    model, x, mask = bernoulli(latents=4)
    options = {"particles": 500, "runs": 4}
    rows = [
        [log_evidence(model, a, m, generator(i), **options) for m in (torch.ones_like(b), b)]
        for i, (a, b) in enumerate(zip(x[:-1], mask[:-1], strict=True))
    ]
    expected = torch.tensor([float(whole[0] - part[0]) for whole, part in rows] + [0.0])
    error = max(float(whole[1] + part[1]) for whole, part in rows)
    assert error < 0.1
    for method in (encoder, metropolis_within_gibbs):
        posterior = method(model, x, mask, generator=generator())
        found = completion_score(model, x, mask, posterior, generator=generator(2))
        close(found, expected, 3 * error)


def test_permuting_rows_and_their_draws_permutes_scores():
    exact, x, mask = linear()
    posterior = draws_of((exact, x, mask))
    order = torch.randperm(ROWS, generator=generator())
    permuted = Draws(posterior.target.rows(order), posterior.stored[:, order])
    a = predicted((exact, x, mask), posterior)
    b = predicted((exact, x[order], mask[order]), permuted)
    torch.testing.assert_close(b.log_prob, a.log_prob[order])


def test_missing_pixels_are_not_scored():
    exact, x, mask = linear()
    posterior = laplace(exact.model, x, mask, generator=generator())
    torn = x.clone()
    torn[:, 0] = torch.nan
    known, seen = ~torn.isnan(), mask & ~torn.isnan()
    fitted = laplace(exact.model, torn, seen, generator=generator())
    found = score((exact, torn, seen), fitted)
    expected = exact.log_evidence(x, known) - exact.log_evidence(x, seen)
    assert ((found.log_prob - expected).abs() < 4.5 * found.standard_error + 1e-9).all()
    everything = score((exact, x, mask), posterior)
    assert ((everything.log_prob - expected).abs() > 4.5 * everything.standard_error).any()
    by_grid = infer.grid(exact.model, torn, seen, generator=generator())
    torch.testing.assert_close(
        score((exact, torn, seen), by_grid).log_prob, expected, atol=2e-3, rtol=0
    )


@pytest.mark.parametrize("by", [completion_score, predictive_score])
def test_what_cannot_be_scored_is_refused_in_words(by):
    model, x, mask = bernoulli()
    posterior = encoder(model, x, mask, generator=generator())
    again = partial(by, model, generator=generator())
    with pytest.raises(UsageError, match=r"its type is torch\.float32"):
        again(x, mask.float(), posterior)
    with pytest.raises(UsageError, match="does not broadcast"):
        again(x, mask[:3], posterior)
    with pytest.raises(UsageError, match="mask is None"):
        again(x, None, posterior)
    with pytest.raises(UsageError, match="under another mask"):
        again(x, mask | True, posterior)
    with pytest.raises(UsageError, match="from other seen values"):
        again(1 - x, mask, posterior)
    with pytest.raises(UsageError, match="draws is 0"):
        again(x, mask, posterior, draws=0)
    with pytest.raises(UsageError, match=r"a withheld value.*\n.*must be 0 or 1, found 254"):
        again(torch.where(mask, x, 254.0), mask, posterior)
    with pytest.raises(UsageError, match="a withheld value is NaN or infinite"):
        again(torch.where(mask, x, torch.inf), mask, posterior)


def test_a_score_carries_no_gradients():
    exact, x, mask = linear()
    found = score((exact, x, mask), encoder(exact.model, x, mask, generator=generator()))
    assert not found.log_prob.requires_grad
