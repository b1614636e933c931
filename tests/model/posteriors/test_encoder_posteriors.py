"""The families of the encoder's q(z | x), and models, objectives and inference with them."""

import math
from copy import deepcopy
from functools import cache

import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from elboroom import infer
from elboroom.config import Config, ModelConfig, ObjectiveConfig
from elboroom.errors import UsageError
from elboroom.evaluation.inference_gap import gaps
from elboroom.evaluation.latent_usage import Information
from elboroom.model.flows import CONTEXT, Coupling
from elboroom.model.posteriors import AmortisedFlow, CholeskyGaussian, DiagonalGaussian
from elboroom.model.priors import StandardNormal
from elboroom.model.vae import VAE
from elboroom.training.objective import bound
from tests.support.fit_cases import EVENT, generator, pictures
from tests.support.oracles import LinearGaussian, assert_mean, assert_rejected


def normal(*shape, seed=0):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def diagonal(rows=3, latents=3, seed=0):
    log_std = 0.3 * normal(rows, latents, seed=seed + 1)
    return DiagonalGaussian(normal(rows, latents, seed=seed), log_std)


def cholesky(rows=3, latents=3, seed=0):
    lower = normal(rows, latents * (latents - 1) // 2, seed=seed + 2)
    return CholeskyGaussian(*vars(diagonal(rows, latents, seed)).values(), lower)


def flow(rows=3, latents=3, seed=0):
    """Away from the Gaussian that it starts as."""
    coupling = Coupling(latents, generator(seed)).double()
    for p in coupling.parameters():
        p.data += 0.05 * torch.randn(p.shape, generator=generator(seed + 3), dtype=p.dtype)
    context = normal(rows, CONTEXT, seed=seed + 4)
    return AmortisedFlow(coupling, *vars(diagonal(rows, latents, seed)).values(), context)


FAMILIES = {"diagonal": diagonal, "full": cholesky, "flow": flow}
each_family = pytest.mark.parametrize("make", FAMILIES.values(), ids=FAMILIES)
each_name = pytest.mark.parametrize("name", FAMILIES)


def problem(name):
    """A model, four rows of data, and their exact posterior: a copy, which may be changed."""
    return deepcopy(integrated(name))


@cache
def integrated(name):
    model, (x, mask) = model_of(name), pictures(4, seed=2)
    return model, x, mask, infer.grid(model, x, mask, generator=generator())


def model_of(name, latents=2, seed=0):
    """A float64 model on EVENT whose encoder's answers are far from where they start."""
    config = ModelConfig(latents, (12,), posterior=name)
    model = VAE.from_config(config, EVENT, generator=generator(seed)).double()
    for p in model.family.parameters() if name == "flow" else ():
        p.data += 0.05 * torch.randn(p.shape, generator=generator(1), dtype=p.dtype)
    for p in model.decoder.parameters():
        p.data *= 3
    return model


@each_family
@pytest.mark.parametrize("latents", [1, 2, 5])
def test_a_draw_has_the_density_that_it_says(make, latents):
    q = make(latents=latents)
    with torch.no_grad():
        z, log_q = q.draw(50, generator())
        assert z.shape == (50, 3, latents)
        torch.testing.assert_close(q.log_prob(z), log_q)
        torch.testing.assert_close(q.sample(50, generator()), z)
        leading = z.view(5, 10, 3, latents)
        torch.testing.assert_close(q.log_prob(leading), log_q.view(5, 10, 3))


@each_family
def test_the_density_is_that_of_the_change_of_variables(make):
    q, eps = make(), normal(3, 3, seed=8)
    jacobian = torch.autograd.functional.jacobian(lambda e: q.at(e).sum(0), eps).permute(1, 0, 2)
    expected = MultivariateNormal(torch.zeros(3).double(), torch.eye(3).double()).log_prob(eps)
    expected = expected - torch.linalg.slogdet(jacobian).logabsdet
    torch.testing.assert_close(q.log_prob(q.at(eps)), expected)
    assert_rejected(lambda: torch.testing.assert_close(q.log_prob(q.at(eps)) + 1e-3, expected))


@each_family
@pytest.mark.parametrize("latents", [1, 2])
def test_the_density_integrates_to_one(make, latents):
    q = make(latents=latents)
    axis = torch.linspace(-12, 12, 241, dtype=torch.float64)
    z = torch.cartesian_prod(*[axis] * latents).view(-1, 1, latents).expand(-1, 3, -1)
    with torch.no_grad():
        mass = q.log_prob(z).exp().sum(0) * (axis[1] - axis[0]) ** latents
    torch.testing.assert_close(mass, torch.ones(3).double(), atol=1e-3, rtol=0)


@each_family
def test_the_moments_are_those_of_draws(make):
    q = make()
    with torch.no_grad():
        z = q.sample(20_000, generator(5))
        # a flow estimates its own from 512 draws
        errors = 4.5 if make is not flow else 4.5 * math.sqrt(1 + 20_000 / 512)
        assert_mean(z, q.mean, errors=errors)
        apart = z - z.mean(0)
        assert_mean(apart[..., :, None] * apart[..., None, :], q.covariance, errors=errors)


def test_a_full_gaussian_is_that_of_torch():
    q, z = cholesky(), normal(7, 3, 3, seed=9)
    expected = MultivariateNormal(q.mean, scale_tril=q.scale)
    torch.testing.assert_close(q.log_prob(z), expected.log_prob(z))
    torch.testing.assert_close(q.covariance, expected.covariance_matrix)
    prior = MultivariateNormal(torch.zeros(3).double(), torch.eye(3).double())
    torch.testing.assert_close(q.kl_to_standard(), kl_divergence(expected, prior))
    torch.testing.assert_close(q.marginals.log_std.exp().square(), expected.variance)
    torch.testing.assert_close(q.widened(2.0).covariance, 4 * q.covariance)


def test_a_full_gaussian_with_nothing_below_is_diagonal():
    q = diagonal()
    full = CholeskyGaussian(q.mean, q.log_std, torch.zeros(3, 3).double())
    z = normal(4, 3, 3, seed=3)
    torch.testing.assert_close(full.log_prob(z), q.log_prob(z))
    torch.testing.assert_close(full.kl_to_standard(), q.kl_to_standard())


def test_a_flow_starts_as_its_gaussian_and_in_float32_under_autocast():
    coupling, z = Coupling(3, generator()), normal(4, 3, 3, seed=3).float()
    q = diagonal()
    own = AmortisedFlow(coupling, q.mean.float(), q.log_std.float(), torch.randn(3, CONTEXT))
    torch.testing.assert_close(own.log_prob(z), q.log_prob(z.double()).float())
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(own.log_prob(z), q.log_prob(z.double()).float())


def test_first_weights_come_from_the_generator_alone():
    state = torch.get_rng_state()
    same = zip(*(Coupling(3, generator()).parameters() for _ in range(2)), strict=True)
    assert all(torch.equal(a, b) for a, b in same)
    other = zip(*(Coupling(3, generator(s)).parameters() for s in (0, 1)), strict=True)
    assert any(not torch.equal(a, b) for a, b in other)
    assert torch.equal(torch.get_rng_state(), state)


@each_name
def test_a_detached_density_is_the_same_with_no_gradient_to_any_parameter(name):
    model, x = model_of(name), pictures(3, seed=1)[0]
    q, z = model.posterior(x), normal(2, 3, 2).requires_grad_()
    found = q.detached().log_prob(z)
    torch.testing.assert_close(found, q.log_prob(z))
    found.sum().backward()
    assert z.grad is not None
    assert all(p.grad is None for p in model.parameters())


@each_name
def test_a_model_answers_with_the_family_of_its_config_and_trains_it(name):
    model, x = model_of(name), pictures(3, seed=1)[0]
    kinds = {"diagonal": DiagonalGaussian, "full": CholeskyGaussian, "flow": AmortisedFlow}
    assert type(model.posterior(x)) is kinds[name]
    for objective in ("elbo", "elbo-sampled", "iwae"):
        model.zero_grad()
        config = ObjectiveConfig(objective, k=2)
        bound(model, x, config=config, generator=generator()).value.mean().backward()
        gradients = [p.grad for p in model.parameters()]
        assert all(g is not None and g.isfinite().all() for g in gradients)
    assert any(n.startswith("family") for n in model.state_dict()) == (name == "flow")


@each_name
@pytest.mark.parametrize(
    "config",
    [
        ObjectiveConfig("elbo-sampled", k=2, gradient="stl"),
        ObjectiveConfig("iwae", k=3, gradient="dreg"),
    ],
)
def test_gradient_estimators_have_the_plain_mean(name, config):
    model, x = model_of(name), pictures(1, seed=2)[0]
    plain = ObjectiveConfig(config.objective, k=config.k)
    found = [_gradients(model, x, c, seed) for seed, c in enumerate((config, plain))]
    difference = found[0] - found[1]
    assert_mean(difference, 0.0)
    shifted = difference + 0.5 * found[1].std(0)
    assert_rejected(lambda: assert_mean(shifted, 0.0))


def _gradients(model, x, config, seed, draws=400):
    """By some weights of the encoder and of the flow, (draws, P)."""
    flow = isinstance(model.family, torch.nn.Module)
    names = list(model.encoder.parameters())[-1:]
    names += list(model.family.parameters())[-1:] if flow else []
    # one image many times, each with noise of its own
    images, each = x.expand(20, *x.shape[1:]), torch.eye(20, dtype=x.dtype)
    found, noise = [], generator(seed)
    for _ in range(draws // len(images)):
        values = bound(model, images, config=config, generator=noise).value
        gradients = torch.autograd.grad(values, names, each, is_grads_batched=True)
        found.append(torch.cat([g.flatten(1)[:, :6] for g in gradients], 1))
    return torch.cat(found)


class Exact(torch.nn.Module):
    """An encoder that knows the posterior of a linear-Gaussian model."""

    def __init__(self, oracle):
        super().__init__()
        self.oracle, self.shift = oracle, torch.nn.Parameter(torch.zeros(2).double())

    def forward(self, x):
        mean, precision = self.oracle.posterior(x, torch.ones_like(x, dtype=torch.bool))
        scale = torch.linalg.cholesky(torch.linalg.inv(precision)).detach()
        std = scale.diagonal(dim1=1, dim2=2)
        unit = scale / std[..., None]
        return mean.detach() + self.shift, std.log(), unit[:, 1, :1]


@pytest.fixture
def exact():
    oracle = LinearGaussian(pixels=5, latents=2, seed=3)
    parts = oracle.model.decoder, 2, oracle.model.likelihood, None
    model = VAE(Exact(oracle), *parts, CholeskyGaussian)
    return oracle, model.double(), oracle.data(4, seed=1)


def test_with_a_full_covariance_the_elbo_reaches_the_evidence(exact):
    oracle, model, x = exact
    evidence = oracle.log_evidence(x, torch.ones_like(x, dtype=torch.bool))
    # no noise at all: log w = log p(x) for every z
    log_weights = model.log_weights(x, 7, generator=generator())
    torch.testing.assert_close(log_weights.detach(), evidence.expand(7, -1))
    many = ObjectiveConfig("elbo", k=20_000)
    found = bound(model, x, config=many, generator=generator()).value.detach()
    torch.testing.assert_close(found, evidence, atol=0.1, rtol=0)


def test_sticking_the_landing_has_no_noise_where_q_is_the_correlated_posterior(exact):
    _, model, x = exact
    for gradient, quiet in (("stl", True), ("plain", False)):
        config = ObjectiveConfig("elbo-sampled", gradient=gradient)
        value = bound(model, x, config=config, generator=generator()).value.sum()
        found = torch.autograd.grad(value, model.encoder.shift)[0]
        assert (found.abs().max() < 1e-9) == quiet


@each_name
@pytest.mark.parametrize("method", ["laplace", "svi", "hmc", "sir", "encoder"])
def test_every_method_infers_with_every_posterior(name, method):
    model, x, mask, exact = problem(name)
    options = {"chains": 32, "warmup": 60, "draws": 125} if method == "hmc" else {}
    found = getattr(infer, method)(model, x, mask, generator=generator(), **options)
    if method in ("hmc", "sir"):
        z = found.sample(4_000)
        assert (z.mean(0) - exact.mean).abs().max() < 0.15
    else:
        gap = exact.log_evidence - found.log_weights(4_000)
        assert (gap.mean(0) > -4.5 * gap.std(0) / 4_000**0.5).all()
        assert gap.mean(0).median() < (0.5 if method != "encoder" else 20)


@each_name
def test_chains_that_use_the_encoder_agree_with_the_grid(name):
    model, (x, mask) = model_of(name), pictures(3, seed=2)
    last = model.encoder.trunk[-1]  # proposals as wide as the prior, or the chains hardly mix
    last.weight.data.zero_()
    last.bias.data[:4] = torch.tensor([0.0, 0.0, 0.4, 0.4])
    exact = infer.grid(model, x, mask, generator=generator())
    found = infer.metropolis_within_gibbs(
        model, x, mask, generator=generator(), chains=16, sweeps=150, burn_in=50
    )
    mixed = found.rhat < 1.1
    assert mixed.any()
    assert_mean(found.draws.mean(0)[:, mixed], exact.mean[mixed], errors=6)


@each_name
def test_annealing_from_the_encoder_is_unbiased_in_the_evidence(name):
    model, (x, mask) = model_of(name), pictures(3, seed=2)
    exact = infer.grid(model, x, mask, generator=generator())
    start = infer.encoder(model, x, mask, generator=generator())
    found = infer.ais(
        model, x, mask, generator=generator(), start=start, distributions=60, chains=200
    )
    assert_mean((found.log_weights - exact.log_evidence).exp(), 1.0)


@each_name
def test_svi_may_start_at_the_encoder(name):
    model, (x, mask) = model_of(name), pictures(3, seed=2)
    found = infer.svi(model, x, mask, start="encoder", family="full", generator=generator())
    start = infer.encoder(model, x, mask, generator=generator())
    assert (found.elbo > start.elbo - 0.1).all()


@pytest.mark.parametrize(
    ("name", "best"),
    [
        ("diagonal", "svi"),
        ("full", "svi-full"),
        pytest.param("flow", "svi-flow", marks=pytest.mark.full),
    ],
)
def test_the_amortisation_gap_is_to_the_best_of_the_encoders_family(name, best):
    model, (x, mask) = model_of(name), pictures(3, seed=2)
    found = gaps(model, x, mask, generator=generator(), k=500)
    assert found.best == best
    assert list(found.fits)[:2] == ["encoder", best]
    total = found.amortisation + found.approximation
    torch.testing.assert_close(total, found.inference)


@each_family
def test_the_mutual_information_of_a_gaussian_channel_is_its_capacity(make):
    # z = x + σ ε, x ~ N(0, 1): I = ½ log(1 + 1/σ²)
    rows, sigma = 100, 0.5
    values = []
    for seed in range(10):
        mean = torch.cat([normal(rows, 1, seed=100 + seed), torch.zeros(rows, 1)], 1)
        log_std = torch.tensor([math.log(sigma), 0.0]).double().expand(rows, -1)
        if make is flow:
            context = torch.zeros(rows, CONTEXT).double()
            q = AmortisedFlow(Coupling(2, generator()).double(), mean, log_std, context)
        elif make is cholesky:
            q = CholeskyGaussian(mean, log_std, torch.zeros(rows, 1).double())
        else:
            q = DiagonalGaussian(mean, log_std)
        with torch.no_grad():
            found = Information.of([q], StandardNormal(2).double(), generator(seed))
        values.append(found.mutual.mean())
    error = torch.stack(values).std() / math.sqrt(len(values))
    assert abs(torch.stack(values).mean() - 0.5 * math.log(1 + sigma**-2)) < 4.5 * error + 2 / rows
    assert (found.kl is None) == (make is flow)


def test_the_information_of_full_gaussians_is_of_their_marginals():
    q = cholesky(rows=5)
    found = Information.of([q], StandardNormal(3).double(), generator())
    expected = DiagonalGaussian(q.mean, 0.5 * q.covariance.diagonal(dim1=1, dim2=2).log())
    torch.testing.assert_close(found.kl, expected.kl_per_latent().mean(0))
    torch.testing.assert_close(found.activity, q.mean.var(0))


def test_options_that_do_not_go_together_are_refused():
    with pytest.raises(UsageError, match="free_bits"):
        Config(model=ModelConfig(posterior="full"), objective=ObjectiveConfig(free_bits=0.1))
    with pytest.raises(UsageError, match="posterior"):
        ModelConfig(prior="vamp", posterior="flow")
