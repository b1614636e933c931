"""Every method beyond 300 latents, where no matrix of D × D is made."""

import math
from functools import partial

import pytest
import torch

from elboroom.config import ModelConfig
from elboroom.errors import UsageError
from elboroom.evaluation import certify, gaps
from elboroom.infer import ais, encoder, hmc, laplace, metropolis_within_gibbs, sir, svi
from elboroom.infer.chains.metric import SubspaceMetric
from elboroom.infer.completion_score import completion_score
from elboroom.infer.methods import REGISTRY, infer, sir_from_modes
from elboroom.model.posteriors import (
    DiagonalGaussian,
    Gaussian,
    GaussianMixture,
    SubspaceGaussian,
)
from elboroom.model.vae import VAE
from tests.infer.test_hmc import assert_moments
from tests.support.chain_cases import linear
from tests.support.fit_cases import generator
from tests.support.oracles import LinearGaussian, assert_rejected, random_masks

LATENTS, PIXELS, ROWS = 400, 100, 3


@pytest.fixture(scope="module")
def exact():
    return LinearGaussian(PIXELS, LATENTS, seed=1)


@pytest.fixture(scope="module")
def data(exact):
    return exact.data(ROWS, seed=1), random_masks(ROWS, PIXELS, seed=2)


@pytest.fixture(scope="module")
def fit(exact, data):
    return laplace(exact.model, *data, generator=generator(), refine=False)


@pytest.fixture(scope="module")
def few():
    """Return a model of fewer pixels, and its data."""
    model = LinearGaussian(20, 310, seed=1)
    return model, (model.data(ROWS, seed=1), random_masks(ROWS, 20, seed=2))


def short(seed=3, latents=350):
    """Return a small decoder that is not linear, with some of its data, half of it seen."""
    model = VAE.from_config(ModelConfig(latents, (12,)), (1, 4, 4), generator=generator(seed))
    x = (torch.rand(2, 1, 4, 4, generator=generator(1)) < 0.4).float()
    return model, x, torch.rand(x.shape, generator=generator(2)) < 0.5


@pytest.mark.parametrize("options", [{}, {"mixture": True}])
def test_a_refined_fit_stays_exact(few, options):
    model, given = few
    found = laplace(model.model, *given, generator=generator(), **options)
    assert_exact(model, given, found, 20)


def test_laplace_is_exact_for_a_linear_decoder(exact, data, fit):
    assert_exact(exact, data, fit, PIXELS)


def assert_exact(exact, data, fit, rank):
    mean, precision = exact.posterior(*data)
    torch.testing.assert_close(fit.mean, mean, atol=1e-8, rtol=0)
    torch.testing.assert_close(fit.q.covariance, precision.inverse(), atol=1e-8, rtol=0)
    torch.testing.assert_close(fit.elbo, exact.log_evidence(*data), atol=1e-8, rtol=1e-10)
    assert fit.converged.all()
    form = fit.q.components if isinstance(fit.q, GaussianMixture) else fit.q
    assert isinstance(form, SubspaceGaussian)
    assert form.directions.shape[-1] == rank


def test_a_subspace_without_directions_is_noticed(exact, data, monkeypatch):
    monkeypatch.setattr("elboroom.infer.fitting.subspace._informed", _no_directions)
    fit = laplace(exact.model, *data, generator=generator(), refine=False)
    assert (fit.elbo[1:] < exact.log_evidence(*data)[1:] - 10).all()


def _no_directions(directions, values, least):
    return directions[:, :0], values[:0]


def test_below_three_hundred_and_under_other_priors_gaussians_are_full():
    model, x, mask = short(latents=8)
    assert isinstance(laplace(model, x, mask, generator=generator()).q, Gaussian)
    config = ModelConfig(301, (12,), prior="mixture", components=2)
    model = VAE.from_config(config, (1, 4, 4), generator=generator())
    options = {"generator": generator(), "refine": False, "starts": 1}
    assert isinstance(laplace(model, x[:1], mask[:1], **options).q, Gaussian)


def test_weights_of_the_exact_posterior_are_constant(exact, data, fit):
    options = {"generator": generator(), "proposal": fit, "particles": 50}
    particles = sir(exact.model, *data, **options)
    evidence = exact.log_evidence(*data)
    torch.testing.assert_close(particles.log_evidence, evidence, atol=1e-8, rtol=1e-10)


def test_weights_of_widened_modes_are_reliable(few):
    exact, given = few
    wide = sir_from_modes(exact.model, *given, generator=generator())
    apart = (wide.log_evidence - exact.log_evidence(*given)).abs()
    # The row that sees nothing has the prior as its q, and weights without any error.
    assert wide.log_evidence_standard_error[0] < 1e-9
    assert (apart < 4.5 * wide.log_evidence_standard_error + 1e-9).all()
    assert (wide.diagnostics["pareto_k"] < 0.7).all()


def test_annealing_from_the_exact_posterior_has_constant_weights(
    exact, data, fit, few, monkeypatch
):
    monkeypatch.setattr("elboroom.infer.chains.annealing.TUNING", 4)
    options = {"distributions": 3, "chains": 2}
    found = ais(exact.model, *data, generator=generator(), start=fit, **options)
    torch.testing.assert_close(found.log_evidence, exact.log_evidence(*data), atol=1e-8, rtol=0)
    bounds = certify(few[0].model, rows=2, generator=generator(), **options)
    torch.testing.assert_close(bounds.upper, bounds.lower, atol=1e-8, rtol=0)


@pytest.mark.full
def test_annealing_from_the_encoder_and_the_prior_agrees(monkeypatch):
    monkeypatch.setattr("elboroom.infer.chains.annealing.TUNING", 32)
    model, x, mask = short()
    options = {"distributions": 60, "chains": 16}
    starts = [None, encoder(model, x, mask, generator=generator()), model.prior(len(x))]
    found = [ais(model, x, mask, generator=generator(), start=s, **options) for s in starts]
    for one in found[1:]:
        error = torch.hypot(one.log_evidence_standard_error, found[0].log_evidence_standard_error)
        apart = (one.log_evidence - found[0].log_evidence).abs()
        assert (apart < 4.5 * error + 0.05).all()


def test_the_diagonal_fit_is_the_best_one(few):
    exact, data = few
    fit = svi(exact.model, *data, generator=generator())
    mean, precision = exact.posterior(*data)
    assert isinstance(fit.q, DiagonalGaussian)
    log_std = -0.5 * precision.diagonal(dim1=-1, dim2=-2).log()
    best = exact.elbo(*data, mean, log_std)
    found = exact.elbo(*data, fit.mean, fit.q.log_std)
    assert (found <= best + 1e-9).all()
    assert (found > best - 0.5).all()  # of gaps of many nats to log p(x_seen)
    assert (exact.log_evidence(*data) - best)[1:].min() > 10


def test_a_diagonal_fit_starts_at_the_encoder_and_at_draws_too(few):
    exact, data = few
    for start in ("encoder", "prior"):
        fit = svi(exact.model, *data, generator=generator(), start=start, max_steps=8)
        assert isinstance(fit.q, DiagonalGaussian)
        assert fit.elbo.isfinite().all()


@pytest.fixture(scope="module")
def chains():
    exact, x, mask = linear(8)
    options = {"chains": 12, "warmup": 40, "draws": 80, "mass": "low-rank", "jumps": False}
    return exact, (x, mask), partial(hmc, exact.model, x, mask, generator=generator(), **options)


def test_chains_of_the_low_rank_metric_have_the_moments(chains):
    exact, data, run = chains
    found = run()
    mean, precision = exact.posterior(*data)
    assert_moments(found.draws, mean, precision.inverse())
    assert_rejected(lambda: assert_moments(found.draws, mean, 0.8 * precision.inverse()))
    assert_rejected(
        lambda: assert_moments(found.draws, mean, torch.eye(8).double().expand(6, 8, 8))
    )


def test_a_wrong_metric_is_noticed_by_its_steps(chains, monkeypatch):
    """A metric leaves the moments right whatever it is: a wrong one takes small steps."""
    _, _, run = chains

    def check():
        # In whitened coordinates ε is about a standard deviation.
        assert run(chains=3, warmup=30, draws=4).step_size.min() > 0.6

    check()
    learned = SubspaceMetric.learned
    monkeypatch.setattr(SubspaceMetric, "learned", lambda self, draws: self)
    check()
    monkeypatch.setattr("elboroom.infer.fitting.subspace._informed", _no_directions)
    assert_rejected(check)
    monkeypatch.undo()
    monkeypatch.setattr(
        SubspaceMetric, "learned", lambda self, draws: _inverted(learned(self, draws))
    )
    assert_rejected(check)


def _inverted(metric):
    mean, directions, root, rest = metric.root.parameters
    return SubspaceMetric(SubspaceGaussian(mean, directions, torch.linalg.inv(root).mT, 1 / rest))


def test_chains_of_many_latents_start_near_the_mode_and_move(few):
    exact, data = few
    found = hmc(
        exact.model, *data, generator=generator(), chains=2, warmup=100, draws=20, jumps=False
    )
    mean, precision = exact.posterior(*data)
    covariance = precision.inverse()
    z = torch.linalg.solve(torch.linalg.cholesky(covariance), (found.draws - mean)[..., None])
    # |ε|² of the posterior is chi-squared with D degrees of freedom, near D ± √(2 D)
    squares = z.square().sum((-1, -2)).mean((0, 1))
    assert ((squares - 310).abs() < 6 * math.sqrt(2 * 310)).all()
    assert (found.acceptance > 0.5).all()
    diagonal = hmc(exact.model, *data, generator=generator(), warmup=4, draws=4, mass="diagonal")
    assert diagonal.draws.isfinite().all()


def test_chains_are_scored_by_kernels_of_low_rank():
    model, x, mask = short()
    chains = metropolis_within_gibbs(model, x, mask, generator=generator(), sweeps=20, burn_in=4)
    assert chains.draws.shape == (20, 4, 2, 350)
    score = completion_score(model, x, mask, chains, generator=generator(), draws=300)
    fit = laplace(model, x, mask, generator=generator())
    other = completion_score(model, x, mask, fit, generator=generator(), draws=300)
    error = torch.hypot(score.standard_error, other.standard_error)
    assert ((score.log_prob - other.log_prob).abs() < 4.5 * error).all()


def test_gaps_compare_what_suits_so_many_latents():
    model, x, mask = short()
    found = gaps(model, x, mask, generator=generator(), k=200)
    assert [*found.fits] == ["encoder", "svi", "laplace"]
    assert (found.amortisation > -0.1).all()
    assert [*gaps(*short(latents=3), generator=generator(), k=200).fits] == [
        *("encoder", "svi", "svi-full", "svi-mixture")
    ]


@pytest.mark.parametrize("name", ["svi-full", "svi-low-rank", "svi-mixture", "svi-flow"])
def test_families_of_matrices_are_refused_with_the_alternative(name):
    with pytest.raises(UsageError) as refused:
        infer(name, *short(), generator=generator())
    assert refused.value.what.endswith("does not suit 350 latents")
    assert "350 × 350" in refused.value.why
    assert "infer.laplace" in refused.value.fix
    assert ("mixture=True" in refused.value.fix) == (name == "svi-mixture")


def test_a_dense_mass_is_refused_with_the_alternative():
    with pytest.raises(UsageError, match='mass="dense" does not suit 350 latents') as refused:
        hmc(*short(), generator=generator(), mass="dense")
    assert "low-rank" in refused.value.fix


def test_a_low_rank_mass_needs_the_standard_prior():
    config = ModelConfig(3, (12,), prior="mixture", components=2)
    model = VAE.from_config(config, (1, 4, 4), generator=generator())
    _, x, mask = short()
    with pytest.raises(UsageError, match='mass="low-rank" does not suit a MixturePrior'):
        hmc(model, x, mask, generator=generator(), mass="low-rank")


def test_a_grid_is_refused():
    with pytest.raises(UsageError, match="grid"):
        infer("grid", *short(), generator=generator())


def test_fewer_rows_of_many_latents_are_inferred_together():
    few, many = short(latents=300)[0], short(latents=1_500)[0]
    assert [REGISTRY["hmc"].rows_at_a_time(model) for model in (few, many)] == [100, 20]
    assert [REGISTRY["svi"].rows_at_a_time(model) for model in (few, many)] == [1_000, 200]
