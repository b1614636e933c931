import math
import sys
from functools import cached_property

import pytest
import torch

from elboroom import infer
from elboroom.errors import UsageError
from elboroom.infer.ais import ais
from elboroom.infer.chains import annealing
from elboroom.infer.chains.annealing import inverse_temperatures, trajectory
from elboroom.infer.chains.annealing_path import Path, PathPoint
from elboroom.infer.posterior import VariationalPosterior
from elboroom.infer.target import Target
from elboroom.model.posteriors import (
    Density,
    DiagonalGaussian,
    Gaussian,
    GaussianMixture,
    LowRankGaussian,
)
from tests.support.fit_cases import generator, pictures, small_vae
from tests.support.oracles import LinearGaussian, assert_mean, assert_rejected, random_masks

ROWS = 6


@pytest.fixture(autouse=True)
def short_tuning(monkeypatch):
    """Weights are unbiased with any steps."""
    for module in ("chains.annealing", "ais"):
        monkeypatch.setattr(sys.modules[f"elboroom.infer.{module}"], "TUNING", 32)


def linear(latents=2):
    exact = LinearGaussian(pixels=5, latents=latents, seed=80 + latents)
    return exact, exact.data(ROWS, seed=81), random_masks(ROWS, 5, seed=82)


def posterior(exact, x, mask):
    mean, precision = exact.posterior(x, mask)
    return Gaussian(mean, torch.linalg.cholesky(torch.linalg.inv(precision)))


def off_centre(exact, x, mask):
    """A Gaussian next to each row's posterior, with a root that is not triangular."""
    q = posterior(exact, x, mask)
    turn = torch.linalg.qr(torch.randn(2, 2, generator=generator(), dtype=x.dtype)).Q
    return Gaussian(q.mean + 0.3, 1.4 * q.scale @ turn)


def prior(exact, x, mask):
    return exact.model.prior(len(x))


def off(exact, x, mask):
    """A Gaussian of low rank that takes no notice of the row."""
    like = x.new_ones(len(x), 2)
    return LowRankGaussian(0.5 * like, -0.2 * like, 0.7 * like[..., None])


def annealed(start, distributions=10, chains=4_000, **options):
    exact, x, mask = linear()
    counts = {"distributions": distributions, "chains": chains}
    q = start(exact, x, mask)
    found = ais(exact.model, x, mask, generator=generator(), start=q, **counts, **options)
    return exact, x, mask, found


def assert_unbiased(start, **options):
    exact, x, mask, found = annealed(start, **options)
    assert_mean((found.log_weights - exact.log_evidence(x, mask)).exp(), 1.0)


def assert_moments(problem, shift=0.0, stretch=1.0):
    exact, x, mask, found = problem
    w = (found.log_weights - exact.log_evidence(x, mask)).exp()[..., None]
    mean, precision = exact.posterior(x, mask)
    centred = found.z - mean - shift
    products = (centred[..., :, None] * centred[..., None, :]).flatten(-2)
    # E[w f(z)] = p(x_seen) E[f(z) | x_seen]
    assert_mean(w * centred, 0.0)
    expected = stretch * torch.linalg.inv(precision).flatten(-2)
    assert_mean(w * (products - expected), 0.0)


@pytest.mark.parametrize("start", [prior, off_centre, off])
@pytest.mark.parametrize("schedule", ["sigmoid", "linear"])
def test_weights_are_unbiased_at_any_length(start, schedule):
    assert_unbiased(start, schedule=schedule)
    assert_unbiased(start, schedule=schedule, distributions=1, chains=8_000)


@pytest.mark.parametrize("start", [prior, off_centre])
def test_weighted_draws_are_the_posteriors(start):
    problem = annealed(start)
    assert_moments(problem)
    assert_rejected(lambda: assert_moments(problem, shift=0.1))
    assert_rejected(lambda: assert_moments(problem, stretch=0.85))


def coarse(path, betas, *rest):
    """Steps so long that every other move is refused."""
    return path.mean.new_full((len(betas) - 1, len(path.mean)), math.pi / 4)


def always_accept(monkeypatch):
    monkeypatch.setattr(PathPoint, "where", lambda self, chosen, other: self)


def forget_kinetic_energy(monkeypatch):
    monkeypatch.setattr(annealing, "_energy", lambda u, momentum: 0.5 * u.square().sum(-1))


def forget_the_determinant(monkeypatch):
    constant = cached_property(lambda self: 0.5 * self.target.latents * math.log(2 * math.pi))
    constant.__set_name__(Path, "_log_volume")
    monkeypatch.setattr(Path, "_log_volume", constant)


def weigh_after_the_move(monkeypatch):
    parts = annealing.Annealing._moves.fget
    late = property(lambda self: (parts(self)[0], parts(self)[1].roll(1), parts(self)[2]))
    monkeypatch.setattr(annealing.Annealing, "_moves", late)


@pytest.mark.parametrize(
    "bug", [always_accept, forget_kinetic_energy, forget_the_determinant, weigh_after_the_move]
)
def test_a_planted_bug_is_noticed(monkeypatch, bug):
    monkeypatch.setattr(annealing, "_suitable_steps", coarse)
    for start in (prior, off):
        assert_unbiased(start)
    bug(monkeypatch)
    assert_rejected(lambda: assert_unbiased(off))


def test_from_the_posterior_itself_every_weight_is_the_evidence():
    exact, x, mask, found = annealed(posterior, chains=8)
    torch.testing.assert_close(found.log_weights, exact.log_evidence(x, mask).expand(8, -1))
    torch.testing.assert_close(found.acceptance, torch.ones(ROWS).double())
    # a fit of infer.laplace, the start unless another is given, is that posterior here
    laid = ais(exact.model, x, mask, generator=generator(), distributions=10, chains=8)
    expected = exact.log_evidence(x, mask)
    torch.testing.assert_close(laid.log_evidence, expected, atol=0.05, rtol=0)
    assert (
        laid.log_weights.std(0).max() < 0.2 * annealed(prior, chains=8)[3].log_weights.std(0).max()
    )


def test_single_precision_is_unbiased_too():
    exact, x, mask = linear()
    truth = exact.log_evidence(x, mask)
    model = exact.model.float()
    q = model.prior(ROWS)
    options = {"start": q, "distributions": 10, "chains": 4_000}
    found = ais(model, x.float(), mask, generator=generator(), **options)
    assert found.z.dtype == found.log_weights.dtype == torch.float32
    assert_mean((found.log_weights - truth).exp(), 1.0)


def test_the_evidence_of_a_small_decoder_is_that_of_the_grid():
    model, (x, mask) = small_vae(3), pictures(6, seed=4)
    truth = infer.grid(model, x, mask, generator=generator()).log_evidence

    def check(found, truth):
        assert_mean((found.log_weights - truth).exp(), 1.0)

    for start in (None, model.prior(6), model.posterior(x, mask)):
        options = {"start": start, "distributions": 15, "chains": 1_000}
        found = ais(model, x, mask, generator=generator(), **options)
        check(found, truth)
        for wrong in (truth + 0.1, truth.roll(1)):
            assert_rejected(lambda found=found, wrong=wrong: check(found, wrong))


def test_more_distributions_leave_the_weights_less_spread():
    spread = [annealed(prior, n, 200)[3].log_weights.std(0)[1:] for n in (5, 20, 80)]
    assert (spread[1] < spread[0]).all()
    assert (spread[2] < spread[1]).all()


@pytest.mark.parametrize("fitted", [True, False])
def test_a_row_does_not_depend_on_its_batch(fitted):
    model, (x, mask) = small_vae(3), pictures(5, seed=4)

    def log_weights(rows):
        start = None if fitted else model.prior(len(rows))
        options = {"start": start, "distributions": 20, "chains": 3}
        return ais(model, x[rows], mask[rows], generator=generator(), **options).log_weights

    together, order = log_weights(torch.arange(5)), torch.tensor([3, 0, 4, 2, 1])
    torch.testing.assert_close(log_weights(order), together[:, order])
    torch.testing.assert_close(log_weights(order[:2]), together[:, order[:2]])
    assert together[:, 1:].std(0).min() > 0


def assert_second_order():
    """A trajectory run backwards ends where it began, and its energy error is of order ε²."""
    model, (x, mask) = small_vae(3), pictures(4, seed=4)
    path = Path.of(Target.of(model, x, mask), model.posterior(x, mask))
    u, momentum = torch.randn(2, 3, 4, 2, generator=generator(), dtype=torch.float64)
    start, beta = path.at(u), torch.tensor(0.7).double()

    def energy_error(step):
        step_size = torch.full((4,), step).double()
        end, p = trajectory(path, start, momentum, beta, step_size)
        back, q = trajectory(path, end, -p, beta, step_size)
        torch.testing.assert_close(back.u, u, atol=1e-9, rtol=0)
        torch.testing.assert_close(-q, momentum, atol=1e-9, rtol=0)
        gained = annealing._energy(u, momentum) - annealing._energy(end.u, p)
        return (beta * (end.log_ratio - start.log_ratio) + gained).abs().max()

    # a tenth of the step over a tenth of the time: a thousandth of the error
    assert 0.0005 < energy_error(0.001) / energy_error(0.01) < 0.002


def test_a_trajectory_is_reversible_and_of_second_order(monkeypatch):
    at = Path.at

    def without_root(self, u):
        here = at(self, u)
        return PathPoint(here.u, here.log_ratio, 1.1 * here.gradient)

    assert_second_order()
    monkeypatch.setattr(Path, "at", without_root)
    assert_rejected(assert_second_order)


def test_the_ratio_along_the_path_is_that_of_the_densities():
    exact, x, mask = linear()
    q = off_centre(exact, x, mask)
    target = Target.of(exact.model, x, mask)
    path = Path.of(target, q)
    u = torch.randn(7, ROWS, 2, generator=generator(), dtype=torch.float64)
    with torch.enable_grad():
        u.requires_grad_()
        z = path.z(u)
        log_ratio = target.log_joint(z) - q.log_prob(z)
        gradient = torch.autograd.grad(log_ratio.sum(), u)[0]
    found = path.at(u.detach())
    torch.testing.assert_close(found.log_ratio, log_ratio.detach())
    torch.testing.assert_close(found.gradient, gradient)
    torch.testing.assert_close(path.u(z.detach()), u.detach())


def test_a_mixture_gives_its_moments():
    exact, x, mask = linear()
    means = torch.randn(3, ROWS, 2, generator=generator()).double()
    scales = torch.randn(3, ROWS, 2, 2, generator=generator(1)).double()
    q = GaussianMixture(means[..., 0], Gaussian(means, scales))
    path = Path.of(Target.of(exact.model, x, mask), q)
    draws = q.sample(20_000, generator())
    assert_mean(draws, path.mean)
    centred = draws - path.mean

    def check(covariance):
        assert_mean(centred[..., :, None] * centred[..., None, :], covariance)

    covariance = path.start.covariance
    check(covariance)
    assert_rejected(lambda: check(0.9 * covariance))


@pytest.mark.parametrize("schedule", ["sigmoid", "linear"])
def test_temperatures_rise_from_zero_to_one(schedule):
    betas = inverse_temperatures(50, schedule, torch.zeros(()).double())
    assert betas[0] == 0
    assert betas[-1] == 1
    assert (betas.diff() > 0).all()
    torch.testing.assert_close(betas, 1 - betas.flip(0))
    ends, middle = betas.diff()[0], betas.diff()[25]
    assert (ends < 0.2 * middle) == (schedule == "sigmoid")


def test_steps_are_tuned_to_the_wanted_acceptance(monkeypatch):
    monkeypatch.setattr(annealing, "TUNING", 256)
    found = annealed(prior, distributions=200, chains=50)[3]
    assert ((found.acceptance[1:] - 0.85).abs() < 0.15).all()
    assert found.acceptance[0] > 0.999  # nothing is seen: the path stays where it is


def test_diagnostics_have_a_tail_only_where_chains_are_many():
    found = annealed(prior, chains=199)[3]
    names = {"ess", "log_evidence_standard_error", "acceptance"}
    assert set(found.diagnostics) == names
    assert all(value.shape == (ROWS,) for value in found.diagnostics.values())
    assert set(annealed(prior, chains=200)[3].diagnostics) == names | {"pareto_k"}


def test_the_same_generator_gives_the_same_weights_and_every_move_is_reported():
    exact, x, mask = linear()
    reported = []

    def log_weights(seed, **options):
        counts = {"distributions": 3, "chains": 2}
        return ais(exact.model, x, mask, generator=generator(seed), **counts, **options).log_weights

    first = log_weights(1, on_step=lambda step, total: reported.append((step, total)))
    moves = annealing.TUNING + 3
    assert reported == [(step, moves) for step in range(1, moves + 1)]
    assert torch.equal(first, log_weights(1))
    assert not torch.equal(first, log_weights(2))


def test_a_fit_is_a_start():
    exact, x, mask = linear()
    q = DiagonalGaussian(*exact.model.encoder(x))
    fit = VariationalPosterior.of(Target.of(exact.model, x, mask), q, generator())
    found = [
        ais(exact.model, x, mask, generator=generator(), start=start, distributions=2, chains=2)
        for start in (q, fit)
    ]
    assert torch.equal(found[0].log_weights, found[1].log_weights)
    assert not found[0].log_weights.requires_grad


@pytest.mark.parametrize("count", ["distributions", "chains"])
@pytest.mark.parametrize("value", [0, -1])
def test_counts_below_one_are_refused(count, value):
    exact, x, mask = linear()
    with pytest.raises(UsageError, match=f"{count} is {value}"):
        ais(exact.model, x, mask, generator=generator(), **{count: value})


class Unknown(Density):
    """A density whose covariance is not known."""

    mean = torch.zeros(4, 2)

    def sample(self, k, generator):
        raise NotImplementedError

    def log_prob(self, z):
        raise NotImplementedError


def test_what_does_not_fit_is_refused():
    exact, x, mask = linear()
    model, options = exact.model, {"generator": generator(), "distributions": 1, "chains": 1}
    with pytest.raises(UsageError, match="this start does not fit"):
        ais(model, x, mask, start=model.prior(4), **options)
    with pytest.raises(UsageError, match="cannot start from a Unknown"):
        ais(model, x, mask, start=Unknown(), **options)
    with pytest.raises(UsageError, match=r"its type is torch\.float32"):
        ais(model, x, mask.float(), **options)
    with pytest.raises(UsageError, match="does not broadcast"):
        ais(model, x, mask[:3], **options)
    with pytest.raises(UsageError, match="a seen value is NaN"):
        ais(model, x * torch.nan, mask, **options)
    with pytest.raises(UsageError, match="there are no rows"):
        ais(model, x[:0], mask[:0], **options)
