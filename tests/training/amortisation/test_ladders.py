"""The partial encoder of a ladder of two scalar latents, whose posteriors the grid integrates."""

import copy
from dataclasses import replace

import pytest
import torch

from elboroom.evaluation import sbc_ranks, uniformity
from elboroom.infer import grid, sir
from elboroom.infer.grid import GridPosterior
from elboroom.infer.posterior import VariationalPosterior
from elboroom.infer.sir import ParticlePosterior
from elboroom.infer.target import Target
from elboroom.model.fingerprint import fingerprint
from elboroom.model.posteriors import Density, LadderPosterior
from elboroom.model.vae import VAE
from elboroom.training.amortisation import amortise, fitting
from elboroom.training.amortisation.masks import random_masks
from tests.support.ladder_cases import generator
from tests.support.oracles import assert_rejected
from tests.support.partial_cases import (
    OPTIONS_OF_LADDER,
    PIXELS_OF_LADDER,
    TWO_LEVELS,
    new_ladder,
    trained_ladder,
)

ROWS = 48
Problem = tuple[VAE, torch.Tensor, torch.Tensor, GridPosterior]


@pytest.fixture(scope="module")
def problem() -> Problem:
    """Rows of the model, some but not all of each seen, and their exact posteriors."""
    model = trained_ladder()[0]
    with torch.no_grad():
        x = model.decode(model.prior(ROWS).sample(1, generator(3))[0]).sample(generator(4))
    mask = random_masks(4 * ROWS, (PIXELS_OF_LADDER,), x, generator(3))
    mask = mask[mask.any(1) & ~mask.all(1)][:ROWS]
    return model, x, mask, grid(model, x, mask, generator=generator())


@torch.no_grad()
def assert_close(r: Density, problem: Problem) -> None:
    """Check that KL(r ‖ p(ε | x_seen)) is below 0.25 nats on average."""
    model, x, mask, exact = problem
    z, log_r = r.draw(500, generator(1))
    assert (exact.log_evidence - (model.log_joint(x, z, mask) - log_r).mean(0)).mean() < 0.25


@torch.no_grad()
def test_it_approaches_the_exact_posterior_under_many_masks(problem: Problem):
    model, x, mask, _ = problem
    partial = trained_ladder()[1].partial
    assert_close(model.amortised_posterior(x, mask), problem)
    mask_ignored = partial.between(model, x * mask, torch.ones_like(mask))
    for wrong in (mask_ignored, model.posterior(x, mask), model.prior(ROWS)):
        assert_rejected(lambda wrong=wrong: assert_close(wrong, problem))


def assert_moments(found: ParticlePosterior, exact: GridPosterior) -> None:
    """Check the means to five standard errors, by the effective number of draws."""
    spread = exact.covariance.diagonal(dim1=-1, dim2=-2).sqrt()
    error = spread / found.diagnostics["ess"][:, None].sqrt()
    assert ((found.mean - exact.mean) / error).abs().max() < 5
    error = found.log_evidence_standard_error
    assert ((found.log_evidence - exact.log_evidence) / error).abs().max() < 5


def test_weighted_draws_of_it_are_exact(problem: Problem, monkeypatch: pytest.MonkeyPatch):
    model, x, mask, exact = problem

    def check() -> None:
        found = sir(model, x, mask, generator=generator(1), particles=2_000)
        assert_moments(found, exact)
        assert (found.diagnostics["pareto_k"] < 0.7).double().mean() > 0.9

    check()
    draw = LadderPosterior.draw

    def without_a_level(q: LadderPosterior, k: int, noise: torch.Generator):
        found = q.descend(k, noise)
        return found.z, found.log_q[0] + model.prior(found.z.shape[1]).log_prob(found.z) / 2

    monkeypatch.setattr(LadderPosterior, "draw", without_a_level)
    assert_rejected(check)
    monkeypatch.setattr(LadderPosterior, "draw", draw)


@pytest.mark.full
def test_ranks_of_weighted_draws_are_uniform():
    model, _ = trained_ladder()
    mask = torch.arange(PIXELS_OF_LADDER) % 3 > 0

    def ranks(planted: bool) -> torch.Tensor:
        def method(model, x, mask):
            if not planted:
                return sir(model, x, mask, generator=generator(5), particles=400)
            target = Target.of(model, x, mask)
            return VariationalPosterior.of(target, model.posterior(x, mask), generator(5))

        return sbc_ranks(model, method, rows=2_000, draws=19, generator=generator(), mask=mask)

    def check(found: torch.Tensor) -> None:
        assert uniformity(found, 19, bins=10).min() > 1e-3

    check(ranks(planted=False))
    assert_rejected(lambda: check(ranks(planted=True)))


def test_the_ladder_does_not_change_and_has_no_gradient():
    """The way down is the model's own decoder, whose weights are no part of the training."""
    model, data = new_ladder()
    model.requires_grad_()
    before = copy.deepcopy(model)
    options = replace(OPTIONS_OF_LADDER, steps=3, batch_size=8, data_share=0.5)
    partial = amortise(model, data, options, TWO_LEVELS).partial
    assert fingerprint(model) == fingerprint(before)
    for found, kept in zip(model.parameters(), before.parameters(), strict=True):
        assert torch.equal(found, kept)
        assert found.requires_grad
        assert found.grad is None
    own = {parameter.data_ptr() for parameter in partial.module.parameters()}
    assert own.isdisjoint(parameter.data_ptr() for parameter in model.parameters())


def test_training_further_begins_where_it_ended():
    model, data = new_ladder()
    options = replace(OPTIONS_OF_LADDER, steps=2, batch_size=8, learning_rate=0.9)
    before = copy.deepcopy(trained_ladder()[1].partial)
    fit = amortise(model, data, options, TWO_LEVELS, partial=before)
    assert fit.best.step == 0
    assert fingerprint(fit.partial.module) == fingerprint(trained_ladder()[1].partial.module)


def test_a_ladder_in_float64_is_amortised_in_bfloat16(monkeypatch: pytest.MonkeyPatch):
    """Autocast leaves float64 alone, and bfloat16 is chosen on some processors only."""
    monkeypatch.setattr(fitting, "resolve_precision", lambda *_: torch.bfloat16)
    model, data = new_ladder()
    options = replace(OPTIONS_OF_LADDER, steps=2, batch_size=8)
    assert amortise(model, data, options, TWO_LEVELS).looks[-1].step == 2
