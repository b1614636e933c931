import copy

import pytest
import torch

from elboroom.config import MethodName
from elboroom.errors import UsageError
from elboroom.evaluation.inference_gap import gaps
from elboroom.infer import complete, grid, hmc, laplace, partial_encoder, sir, svi
from elboroom.infer.fitting.starting_points import guesses
from elboroom.infer.methods import infer
from elboroom.infer.sir import ParticlePosterior
from elboroom.infer.target import Target
from elboroom.model.partial_encoder import PartialEncoder
from elboroom.model.posteriors import DiagonalGaussian
from elboroom.model.vae import VAE
from tests.support.oracles import LinearGaussian, assert_rejected, random_masks
from tests.support.partial_cases import (
    LATENTS,
    PIXELS,
    PIXELS_OF_LADDER,
    TWO_LEVELS,
    new_ladder,
    new_problem,
    trained_problem,
)

ROWS = 6
Problem = tuple[VAE, torch.Tensor, torch.Tensor]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def exact() -> LinearGaussian:
    return trained_problem()[0]


@pytest.fixture(scope="module")
def problem(exact: LinearGaussian) -> Problem:
    return exact.model, exact.data(ROWS, seed=81), random_masks(ROWS, PIXELS, seed=82)


def test_it_is_r_and_its_elbo_is_near_the_evidence(exact: LinearGaussian, problem: Problem):
    model, x, mask = problem
    found = partial_encoder(model, x, mask, generator=generator())
    r = model.amortised_posterior(x, mask)
    assert torch.equal(found.mean, r.mean)
    z = found.sample(5)
    assert torch.equal(found.log_prob(z), r.log_prob(z))
    gap = exact.log_evidence(x, mask) - found.elbo
    assert (gap[:-1] < 0.2 + 4.5 * found.elbo_standard_error[:-1]).all()


def test_its_answer_for_a_whole_row_is_the_encoder(problem: Problem):
    model, x, _ = problem
    found = partial_encoder(model, x, generator=generator())
    assert type(found.q) is DiagonalGaussian
    assert torch.equal(found.mean, model.posterior(x).mean)


def test_a_model_without_one_is_refused_by_this_method_alone():
    model = new_problem()[0].model
    x = torch.zeros(2, PIXELS)
    with pytest.raises(UsageError, match="elboroom amortise RUN"):
        partial_encoder(model, x, generator=generator())
    assert infer("sir-encoder", model, x, generator=generator()).mean.shape == (2, LATENTS)


def test_sir_draws_from_it(problem: Problem):
    model, x, mask = problem
    found = infer("sir-encoder", model, x, mask, generator=generator())
    assert type(found) is ParticlePosterior
    z, _ = model.amortised_posterior(x, mask).draw(1_000, generator())
    assert torch.equal(found.z, z)
    fit = partial_encoder(model, x, mask, generator=generator())
    assert torch.equal(sir(model, x, mask, generator=generator(), proposal=fit).z, z)


def test_fits_and_chains_are_right_from_its_starting_points(
    exact: LinearGaussian, problem: Problem
):
    model, x, mask = problem
    mean, _ = exact.posterior(x, mask)
    fits = [
        svi(model, x, mask, generator=generator(), family="full"),
        svi(model, x, mask, generator=generator(), family="full", start="encoder"),
        laplace(model, x, mask, generator=generator()),
        hmc(model, x, mask, generator=generator(), warmup=50, draws=200),
    ]
    for fit in fits:
        torch.testing.assert_close(fit.mean, mean, atol=0.2, rtol=0)


def test_guesses_are_its_mean_and_draws_of_it(problem: Problem):
    model, x, mask = problem
    target = Target.of(model, x, mask)
    found = guesses(model, target, generator())
    r = model.amortised_posterior(x, mask)
    assert torch.equal(found[0], r.mean)
    assert torch.equal(found[1:], r.sample(len(found) - 1, generator()))


def test_without_one_the_guess_is_the_mean_of_the_encoder_and_nothing_is_drawn(problem: Problem):
    model, x, mask = copy.deepcopy(problem[0]), *problem[1:]
    model.partial_encoder = None
    noise = generator()
    before = noise.get_state()
    found = guesses(model, Target.of(model, x, mask), noise)
    assert torch.equal(found, model.posterior(x, mask).mean[None])
    assert torch.equal(noise.get_state(), before)


@pytest.fixture(scope="module")
def of_ladder() -> tuple[VAE, torch.Tensor, torch.Tensor]:
    """A ladder with a partial encoder that has not been trained, rows of it, and masks."""
    model, _ = new_ladder()
    partial = PartialEncoder.from_config(model, TWO_LEVELS, "auto", generator=generator())
    model.partial_encoder = partial
    with torch.no_grad():
        x = model.decode(model.prior(4).sample(1, generator(3))[0]).sample(generator(4))
    return model, x, random_masks(4, PIXELS_OF_LADDER, seed=3)


@pytest.mark.parametrize("method", ["sir-encoder", "laplace", "svi"])
def test_methods_of_a_ladder_are_right_from_its_starting_points(
    of_ladder: Problem, method: MethodName
):
    model, x, mask = of_ladder
    exact = grid(model, x, mask, generator=generator())
    found = infer(method, model, x, mask, generator=generator())
    torch.testing.assert_close(found.mean, exact.mean, atol=0.35, rtol=0)


@pytest.mark.full
def test_chains_of_a_ladder_are_right_from_its_starting_points(of_ladder: Problem):
    model, x, mask = of_ladder
    exact = grid(model, x, mask, generator=generator())
    found = hmc(model, x, mask, generator=generator(), warmup=50, draws=100)
    torch.testing.assert_close(found.mean, exact.mean, atol=0.35, rtol=0)


def test_that_of_a_ladder_completes_rows(of_ladder: Problem):
    model, x, mask = of_ladder
    found = partial_encoder(model, x, mask, generator=generator())
    assert found.mean.shape == (4, 2)
    filled = complete(model, x, mask, found, draws=2, generator=generator())
    assert torch.equal(filled.mean[mask], x[mask])


def test_that_of_a_ladder_is_a_start_for_fits(of_ladder: Problem):
    """The start has each level's mean and deviation where the levels above are at their means."""
    model, x, mask = of_ladder
    r = model.amortised_posterior(x, mask)
    units = torch.cat([torch.zeros(1, 2), torch.eye(2)])[:, None].expand(-1, len(x), -1)
    mean, *moved = r.at(units.to(r.mean))
    start = r.independent
    assert start is not None

    def check(start: DiagonalGaussian) -> None:
        torch.testing.assert_close(start.location, mean)
        for latent, place in enumerate(moved):
            std = (place - mean)[:, latent]
            torch.testing.assert_close(start.log_std.exp()[:, latent], std)

    check(start)
    assert_rejected(lambda: check(DiagonalGaussian(start.location, start.log_std + 0.1)))
    found = svi(model, x, mask, generator=generator(), start="encoder")
    exact = grid(model, x, mask, generator=generator())
    torch.testing.assert_close(found.mean, exact.mean, atol=0.35, rtol=0)


def test_gaps_measure_it_beside_the_encoder(exact: LinearGaussian, problem: Problem):
    model, x, mask = problem
    found = gaps(model, x, mask, generator=generator(), k=200)
    assert [*found.fits][:2] == ["encoder", "partial-encoder"]
    between = slice(1, -1)
    partial = found.below_evidence("partial-encoder")[between]
    assert (partial < found.below_evidence("encoder")[between]).all()
