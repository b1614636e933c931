"""Inference of rows of a table whose columns are of every family."""

import math
from functools import cache

import pytest
import torch
from torch import Tensor

from elboroom import infer
from elboroom.config import ModelConfig
from elboroom.errors import UsageError
from elboroom.infer.methods import REGISTRY
from elboroom.infer.methods import infer as infer_by
from elboroom.infer.target import Target
from elboroom.model.likelihoods import Table
from elboroom.model.vae import VAE
from tests.support.column_cases import MIXED, measured, mixed_rows, with_gaps
from tests.support.oracles import assert_mean, assert_rejected

LEVELS = {0: 3, 3: 4, 5: 2, 8: 20, 10: 2}
SHORT = {
    "hmc": {"chains": 16, "warmup": 30, "draws": 30},
    "pseudo-gibbs": {"chains": 4, "sweeps": 10, "burn_in": 5},
    "metropolis-within-gibbs": {"chains": 30, "sweeps": 40, "burn_in": 10},
}


def slow(name):
    return pytest.param(name, marks=pytest.mark.full)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@cache
def problem() -> tuple[VAE, Tensor, Tensor, infer.Posterior]:
    """A model, rows with gaps, their mask, and the exact posterior."""
    config = ModelConfig(1, (8,), likelihood="columns", columns=MIXED)
    model = VAE.from_config(config, (11,), generator=generator(1))
    model.likelihood = measured(MIXED, mixed_rows(200))
    for p in model.decoder.parameters():
        p.data *= 2
    model = model.double().eval()
    z = model.prior(4).sample(1, generator(4))[0]
    x = model.decode(z).sample(generator(5)).detach()
    mask = ~with_gaps(x, 0.4, seed=2).isnan()
    mask[0], mask[3] = False, True
    mask[:3, 4] = False
    torn = x.masked_fill(~mask, torch.nan)
    return model, torn, mask, infer.grid(model, torn, mask, generator=generator())


def test_the_grid_integrates_missing_entries_out():
    model, x, mask, exact = problem()
    z = torch.linspace(-8, 8, 401).double().view(-1, 1, 1).expand(-1, 4, -1)
    table = model.log_joint(x, z, mask)
    expected = table.logsumexp(0) + math.log(16 / 400)
    torch.testing.assert_close(exact.log_evidence, expected.detach(), atol=1e-3, rtol=0)


def test_the_target_decodes_the_seen_columns_alone():
    model, x, mask, _ = problem()
    target = Target.of(model, x[:3], mask[:3])
    assert target.x.shape[1] == mask[:3].any(0).sum() < 11
    z = torch.randn(5, 3, 1, generator=generator()).double()
    torch.testing.assert_close(target.log_joint(z), model.log_joint(x[:3], z, mask[:3]))
    gradient, precision = target.curvature(z[0])
    torch.testing.assert_close(gradient, target.gradient(z[:1])[0])
    assert (precision > 0).all()


@pytest.mark.parametrize(
    "name",
    ["svi", "svi-full", "laplace", *(slow(name) for name in ("svi-low-rank", "svi-mixture"))],
)
def test_fits_lie_below_the_evidence_and_near_it(name):
    model, x, mask, exact = problem()
    found = infer_by(name, model, x, mask, generator=generator())
    assert found.diagnostics["converged"].all()
    gap = exact.log_evidence - found.log_weights(2_000)
    assert (gap.mean(0) > -4.5 * gap.std(0) / 2_000**0.5).all()
    assert gap.mean(0).max() < 0.1


@pytest.mark.parametrize("name", ["hmc", "metropolis-within-gibbs"])
def test_chains_find_the_posterior(name):
    model, x, mask, exact = problem()
    found = REGISTRY[name].call(model, x, mask, generator=generator(), **SHORT[name])
    assert_mean(found.draws.mean(0), exact.mean, errors=6)
    assert_rejected(lambda: assert_mean(found.draws.mean(0), exact.mean + 0.5, errors=6))


@pytest.mark.parametrize("name", ["encoder", "sir", "pseudo-gibbs", slow("svi-flow")])
def test_other_methods_complete_too(name):
    model, x, mask, exact = problem()
    options = SHORT.get(name, {})
    found = REGISTRY[name].call(model, x, mask, generator=generator(), **options)
    filled = infer.complete(model, x, mask, found, draws=2, generator=generator())
    assert filled.mean.isfinite().all()
    assert torch.equal(filled.draws[:, mask], x[mask].expand(2, -1))
    if name == "sir":
        error = (found.log_evidence - exact.log_evidence).abs()
        assert (error < 4.5 * found.log_evidence_standard_error + 1e-3).all()


def averaged(model: VAE, exact: infer.Posterior) -> Table:
    return model.decode(exact.sample(4_000))  # type: ignore[return-value]


def test_a_completed_level_is_the_most_probable_one_under_the_posterior():
    model, x, mask, exact = problem()
    found = infer.complete(model, x, mask, exact, draws=4_000, generator=generator())
    density = averaged(model, exact)
    for place in LEVELS:
        p = density.probabilities(place).mean(0)
        (rows,) = (~mask[:, place]).nonzero(as_tuple=True)
        best = p[rows].gather(-1, found.mean[rows, place, None].long())[:, 0]
        assert (best > p[rows].amax(-1) - 0.05).all()
        shares = torch.nn.functional.one_hot(found.draws[:, rows, place].long(), LEVELS[place])
        assert_mean(shares.double()[:, p[rows] > 0.01], p[rows][p[rows] > 0.01].detach())


def test_a_completed_number_is_its_mean_under_the_posterior():
    model, x, mask, exact = problem()
    found = infer.complete(model, x, mask, exact, draws=4_000, generator=generator())
    for place in (1, 2, 4, 6, 9):
        rows = ~mask[:, place]
        expected = averaged(model, exact).mean.mean(0)[rows, place].detach()
        assert_mean(found.draws[:, rows, place], expected, errors=5)
        spread = found.draws[:, rows, place].std(0)
        assert ((found.mean[rows, place] - expected).abs() < 0.2 * spread).all()
        assert_rejected(
            lambda e=expected, r=rows, p=place, s=spread: assert_mean(
                found.draws[:, r, p], e + 0.2 * s, errors=5
            )
        )


@pytest.mark.parametrize("score", [infer.completion_score, infer.predictive_score])
def test_withheld_entries_are_scored(score):
    model, x, mask, _ = problem()
    whole = model.decode(torch.zeros(4, 1).double()).sample(generator(6)).detach()
    x = torch.where(mask, x, whole)
    exact = infer.grid(model, x, mask, generator=generator())
    expected = score(model, x, mask, exact, generator=generator()).log_prob
    fit = infer.sir(model, x, mask, particles=1_000, widen=1.5, generator=generator())
    found = score(model, x, mask, fit, generator=generator(), draws=500)
    assert ((found.log_prob - expected).abs() < 4.5 * found.standard_error + 0.01).all()


def test_a_seen_value_that_does_not_fit_is_named_with_its_column():
    model, x, mask, _ = problem()
    x, mask = x.clone(), mask.clone()
    x[1, 5], mask[1, 5] = 2.0, True
    with pytest.raises(UsageError, match="in the column 5"):
        infer.laplace(model, x, mask, generator=generator())
