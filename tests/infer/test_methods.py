from functools import cache
from typing import get_args

import pytest
import torch

from elboroom.config import FitName, MethodName, ModelConfig
from elboroom.errors import UsageError
from elboroom.infer import methods
from elboroom.infer.chains.posterior import ChainPosterior
from elboroom.infer.grid import GridPosterior
from elboroom.infer.hmc import HMCPosterior
from elboroom.infer.methods import REGISTRY, infer, infer_each
from elboroom.infer.posterior import Posterior, VariationalPosterior
from elboroom.infer.sir import ParticlePosterior
from elboroom.infer.target import Target
from elboroom.model.posteriors import DiagonalGaussian, Gaussian, GaussianMixture, LowRankGaussian
from elboroom.model.vae import VAE
from tests.support.oracles import LinearGaussian, random_masks

ROWS = 4
NAMES = tuple(n for n in get_args(MethodName) if n != "partial-encoder")  # which few models have
WALKS = tuple(name for name, method in REGISTRY.items() if method.length is not None)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def exact():
    return LinearGaussian(pixels=5, latents=2, seed=80)


@pytest.fixture(scope="module")
def problem(exact):
    return exact.model, exact.data(ROWS, seed=81), random_masks(ROWS, 5, seed=82)


@pytest.fixture(scope="module")
def inferred(problem):
    """Infer by a method, its chains short; once."""
    steps = []

    @cache
    def call(name):
        steps.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(methods, "_CHAIN_LENGTH", 50)
            return infer(
                name, *problem, generator=generator(), on_step=lambda *s: steps.append(s)
            ), tuple(steps)

    return call


def test_the_registry_has_a_row_for_every_name():
    assert set(REGISTRY) == set(get_args(MethodName))


@pytest.mark.parametrize("name", NAMES)
def test_every_method_answers_for_every_row(inferred, name):
    posterior, _ = inferred(name)
    assert posterior.mean.shape == (ROWS, 2)
    assert posterior.sample(3).shape == (3, ROWS, 2)
    assert posterior.diagnostics
    assert all(values.shape == (ROWS,) for values in posterior.diagnostics.values())


@pytest.mark.parametrize("name", sorted({*NAMES} - {"encoder", *WALKS}))
def test_the_mean_is_that_of_the_linear_gaussian_model(inferred, problem, exact, name):
    mean, _ = exact.posterior(*problem[1:])
    torch.testing.assert_close(inferred(name)[0].mean, mean, atol=0.15, rtol=0)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("encoder", DiagonalGaussian),
        ("svi", DiagonalGaussian),
        ("svi-full", Gaussian),
        ("svi-low-rank", LowRankGaussian),
        ("svi-mixture", GaussianMixture),
        ("laplace", Gaussian),
    ],
)
def test_a_fit_is_of_its_family(inferred, name, family):
    assert type(inferred(name)[0].q) is family


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, VariationalPosterior) for name in get_args(FitName)),
        ("sir", ParticlePosterior),
        ("sir-encoder", ParticlePosterior),
        ("hmc", HMCPosterior),
        ("pseudo-gibbs", ChainPosterior),
        ("metropolis-within-gibbs", ChainPosterior),
        ("grid", GridPosterior),
    ],
)
def test_a_name_calls_its_method(inferred, name, kind):
    assert type(inferred(name)[0]) is kind


def test_only_one_gibbs_sampler_may_refuse_a_proposal(inferred):
    assert inferred("pseudo-gibbs")[0].acceptance is None
    assert (inferred("metropolis-within-gibbs")[0].acceptance < 1).all()


@pytest.mark.parametrize("name", NAMES)
def test_steps_are_counted_up_to_the_last(inferred, name):
    _, steps = inferred(name)
    total = steps[0][1]
    assert steps == tuple((i + 1, total) for i in range(total))
    assert (total > 1) == (name == "hmc")


def test_evidence_has_the_name_of_what_the_method_knows(inferred, problem, exact):
    truth = exact.log_evidence(*problem[1:])
    for method, expected in [
        ("svi-full", "elbo"),
        ("grid", "log_evidence"),
        ("sir", "log_evidence"),
    ]:
        ((name, value),) = inferred(method)[0].evidence.items()
        assert name == expected
        torch.testing.assert_close(value, truth, atol=0.05, rtol=0)
    assert all(inferred(name)[0].evidence == {} for name in WALKS)


def test_no_method_depends_on_which_others_are_asked_for(problem):
    alone = infer_each(("svi",), *problem, generator=generator())["svi"]
    together = infer_each(("encoder", "sir", "svi"), *problem, generator=generator())["svi"]
    assert torch.equal(alone.sample(5), together.sample(5))
    assert torch.equal(alone.elbo, together.elbo)


def test_a_second_call_with_the_same_generator_draws_other_noise(problem):
    noise = generator()
    first, second = (infer_each(("encoder",), *problem, generator=noise) for _ in range(2))
    assert not torch.equal(first["encoder"].sample(5), second["encoder"].sample(5))


@pytest.mark.parametrize("name", WALKS)
def test_a_chain_keeps_at_least_as_many_draws_as_requested(inferred, problem, name, monkeypatch):
    assert len(inferred(name)[0].draws) == 50
    monkeypatch.setattr(methods, "_CHAIN_LENGTH", 50)
    assert len(infer(name, *problem, generator=generator(), draws=53).draws) == 53


def test_sampled_chains_are_spread_over_each_chain(problem):
    target = Target.of(*problem)
    stored = torch.arange(101 * 2 * ROWS * 2.0).view(101, 2, ROWS, 2)
    posterior = ChainPosterior(target, stored, None, generator())
    found = posterior.sample_chains(5)
    assert torch.equal(found, stored[[0, 25, 50, 75, 100]].transpose(0, 1))


def test_a_method_without_chains_samples_one(problem):
    posterior, again = (infer("encoder", *problem, generator=generator()) for _ in range(2))
    assert torch.equal(posterior.sample_chains(6), again.sample(6)[None])


def test_chains_which_hold_many_draws_are_inferred_fewer_at_a_time():
    assert {name for name in NAMES if REGISTRY[name].most_rows < 1_000} == set(WALKS)


def test_a_grid_is_not_for_three_latents():
    model = VAE.from_config(ModelConfig(3, (4,)), (1, 2, 2), generator=generator())
    with pytest.raises(UsageError, match="3 latent dimensions"):
        infer("grid", model, torch.ones(2, 1, 2, 2), generator=generator())


@pytest.mark.parametrize("name", ["encoder", "svi", "sir", "pseudo-gibbs"])
def test_a_mask_that_does_not_fit_is_refused(problem, name):
    model, x, mask = problem
    with pytest.raises(UsageError, match="mask"):
        infer(name, model, x, mask[:, :-1], generator=generator())


@pytest.mark.parametrize("name", NAMES)
def test_optional_members_are_None_or_of_the_documented_shape(inferred, name):
    posterior, _ = inferred(name)
    assert isinstance(posterior, Posterior)
    is_fit = isinstance(posterior, VariationalPosterior)
    assert (posterior.q is not None) == (posterior.elbo is not None) == is_fit
    assert (posterior.draws is not None) == (name in WALKS)
    assert (posterior.particles is not None) == isinstance(posterior, ParticlePosterior)
    exact = isinstance(posterior, GridPosterior)
    evidence = posterior.log_evidence
    assert evidence is not None or not (exact or posterior.particles)
    assert evidence is None or evidence.shape == (ROWS,)
    z = posterior.sample(3)
    log_prob = posterior.log_prob(z)
    assert (log_prob is not None) == (is_fit or exact)
    assert log_prob is None or log_prob.shape == (3, ROWS)
    if posterior.particles is not None:
        particles, log_weights = posterior.particles
        assert particles.shape[:2] == log_weights.shape


class Prior(Posterior):
    """The smallest posterior of one's own: draws of the prior."""

    @property
    def mean(self):
        return torch.zeros(len(self.target), self.target.latents)

    @property
    def diagnostics(self):
        return {}

    def sample(self, k):
        return torch.zeros(k, len(self.target), self.target.latents)


def test_a_posterior_of_ones_own_has_defaults_for_what_it_does_not_know(problem):
    own = Prior(Target.of(*problem))
    assert own.evidence == {}
    assert own.sample_chains(5).shape == (1, 5, ROWS, 2)
    for member in (own.q, own.elbo, own.draws, own.log_evidence, own.particles):
        assert member is None
    assert own.log_prob(own.sample(1)) is None


def test_a_posterior_without_draws_is_refused(problem):
    class Incomplete(Posterior):
        mean = Prior.mean
        diagnostics = Prior.diagnostics

    with pytest.raises(TypeError, match="sample"):
        Incomplete(Target.of(*problem))
