"""Every likelihood: its density, draws, derivatives and support, and inference with it."""

import math
from collections.abc import Callable
from copy import deepcopy
from functools import cache

import numpy as np
import pytest
import torch
from torch.distributions import ContinuousBernoulli as TorchContinuousBernoulli
from torch.distributions import Normal

from elboroom import infer
from elboroom.config import DataConfig, ModelConfig, TrainConfig
from elboroom.data import load_data
from elboroom.data.statistics import Statistics
from elboroom.errors import DataError, IncomparableError, UsageError
from elboroom.evaluation.likelihood import evaluate
from elboroom.model.likelihoods import (
    Bernoulli,
    ContinuousBernoulli,
    DiscretizedLogistic,
    GaussianPixels,
    LearnedNoise,
    ObservationModel,
    observation_model,
)
from elboroom.model.vae import VAE
from elboroom.training.loop import train
from tests.support.fit_cases import EVENT, FITS, generator, random_masks_like
from tests.support.oracles import assert_mean, assert_rejected

SCALE = torch.tensor(0.07, dtype=torch.float64)
LEVELS = torch.arange(256, dtype=torch.float64) / 255
UNIT = torch.linspace(0, 1, 20_001, dtype=torch.float64)
LINE = torch.linspace(-3, 4, 20_001, dtype=torch.float64)

KINDS: dict[str, tuple[Callable, torch.Tensor, torch.Tensor]] = {
    # how it is made, the values of one pixel, and parameters in its tails, its middle and between
    "bernoulli": (Bernoulli, torch.tensor([0.0, 1.0]).double(), torch.tensor([-30, -1, 0, 2, 30])),
    "continuous-bernoulli": (
        ContinuousBernoulli,
        UNIT,
        torch.tensor([-30, -0.11, -0.09, 0, 0.001, 0.099, 0.101, 3, 30]),
    ),
    "gaussian": (lambda mean: GaussianPixels(mean, SCALE), LINE, torch.tensor([-0.5, 0.2, 1.2])),
    "discretized-logistic": (
        lambda location: DiscretizedLogistic(location, SCALE),
        LEVELS,
        torch.tensor([-0.2, 0, 0.31, 1, 1.2]),
    ),
}
each_kind = pytest.mark.parametrize("kind", KINDS)
MIXTURE = "discretized-logistic-mixture"
each_kind_and_the_mixture = pytest.mark.parametrize("kind", [*KINDS, MIXTURE])


def measure(kind):
    """Values (V,) of a pixel, the mass or width of each, and the densities' parameters (G,)."""
    _, values, parameters = KINDS[kind]
    discrete = kind in ("bernoulli", "discretized-logistic")
    widths = torch.ones_like(values) if discrete else torch.full_like(values, values[1] - values[0])
    if not discrete:
        widths[0] = widths[-1] = widths[0] / 2
    return values, widths, parameters.double()


def probabilities(kind):
    """p(v | g) dv of each value under each parameter, (G, V)."""
    values, widths, parameters = measure(kind)
    p = KINDS[kind][0](parameters[:, None, None].expand(-1, len(values), 1))
    return p.log_prob(values[:, None]).exp() * widths


@each_kind
def test_it_integrates_or_sums_to_one(kind):
    torch.testing.assert_close(
        probabilities(kind).sum(1), torch.ones(len(KINDS[kind][2])).double(), atol=1e-5, rtol=0
    )


@each_kind
def test_its_mean_is_that_of_the_density(kind):
    values, _, parameters = measure(kind)
    found = KINDS[kind][0](parameters[:, None]).mean[:, 0]
    torch.testing.assert_close(found, probabilities(kind) @ values, atol=1e-5, rtol=0)


@each_kind
def test_its_draws_agree_with_the_density(kind):
    values, _, parameters = measure(kind)
    draws = KINDS[kind][0](parameters.expand(20_000, -1)).sample(generator())
    moments = probabilities(kind) @ torch.stack([values, values.square()], -1)
    found = torch.stack([draws, draws.square()], -1)
    assert_mean(found, moments)
    assert_rejected(lambda: assert_mean(found + 0.02, moments))


@each_kind
def test_its_score_and_information_are_those_of_its_log_prob(kind):
    make, values, parameters = KINDS[kind][0], *measure(kind)[::2]
    grid = parameters[:, None, None].expand(-1, len(values), 1).clone().requires_grad_()
    x = values[:, None]
    score = torch.autograd.grad(make(grid).log_prob(x).sum(), grid)[0]
    torch.testing.assert_close(make(grid).score(x).detach(), score, atol=1e-8, rtol=1e-6)
    # E[(∂ log p)²]
    expected = (probabilities(kind) * score[..., 0].square()).sum(1)
    found = make(parameters[:, None]).information()[:, 0]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-3)


@each_kind
def test_the_table_holds_every_event_under_every_parameter_and_nan_is_unseen(kind):
    make, values, parameters = KINDS[kind][0], *measure(kind)[::2]
    g = generator()
    x = values[torch.randint(len(values), (5, 2, 3), generator=g)]
    parameter = parameters[torch.randint(len(parameters), (7, 2, 3), generator=g)]
    mask = torch.rand(5, 2, 3, generator=g) < 0.6
    torn = x.masked_fill(~mask, torch.nan)
    p = make(parameter[:, None].expand(-1, 5, -1, -1))
    alone = torch.stack(
        [
            (
                make(parameter[:, None, i, j, None].expand(-1, 5, -1)).log_prob(x[:, i, j, None])
                * mask[:, i, j]
            )
            for i in range(2)
            for j in range(3)
        ]
    ).sum(0)
    torch.testing.assert_close(p.log_prob(torn, mask), alone)
    torch.testing.assert_close(make(parameter).log_prob_table(torn, mask), alone)
    torch.testing.assert_close(make(parameter).log_prob_table(x), p.log_prob(x))
    assert (p.score(torn, mask)[:, ~mask] == 0).all()
    assert (p.information(mask)[:, ~mask] == 0).all()


@each_kind
def test_gradients_are_finite_in_the_tails_in_float32(kind):
    make, values, parameters = KINDS[kind][0], *measure(kind)[::2]
    grid = (20 * parameters).float()[:, None, None].expand(-1, len(values), 1).clone()
    log_prob = make(grid.requires_grad_()).log_prob(values.float()[:, None])
    assert log_prob.isfinite().all()
    assert torch.autograd.grad(log_prob.sum(), grid)[0].isfinite().all()


@each_kind_and_the_mixture
def test_a_mean_has_a_parameter(kind):
    config = ModelConfig(hidden=(4,), likelihood=kind, data_bias=True)
    mean = torch.linspace(0.05, 0.95, 16).view(EVENT)
    statistics = Statistics(mean.double(), torch.full(EVENT, 0.2).double(), torch.ones(EVENT))
    model = VAE.from_config(config, EVENT, generator=generator(), statistics=statistics)
    for p in list(model.decoder.parameters())[:-1]:
        p.data.zero_()
    found = model.decode(torch.zeros(1, 2)).mean[0]
    torch.testing.assert_close(found, mean, atol=0.2 if "logistic" in kind else 2e-4, rtol=0)


def test_the_continuous_bernoulli_is_that_of_torch():
    logits = torch.tensor([-8.0, -1.0, -0.05, 0.02, 0.7, 9.0]).double()
    x = torch.linspace(0, 1, 11).double()[:, None].expand(-1, 6)
    expected = TorchContinuousBernoulli(logits=logits, validate_args=False)
    torch.testing.assert_close(
        ContinuousBernoulli(logits.repeat(11)[:, None]).log_prob(x.reshape(-1, 1)),
        expected.log_prob(x).flatten(),
        rtol=1e-4,
        atol=1e-5,
    )
    torch.testing.assert_close(
        ContinuousBernoulli(logits).variance, expected.variance, rtol=1e-3, atol=1e-5
    )


def test_the_gaussian_is_that_of_torch():
    g = generator()
    mean, x = torch.randn(3, 4, 5, generator=g), torch.randn(4, 5, generator=g)
    expected = Normal(mean, 0.3).log_prob(x).sum(-1)
    torch.testing.assert_close(GaussianPixels(mean, torch.tensor(0.3)).log_prob(x), expected)


def test_a_learned_scale_finds_that_of_the_noise():
    model = ObservationModel(GaussianPixels, LearnedNoise(()))
    x = 0.5 + 0.1 * torch.randn(2_000, 3, generator=generator())
    adam = torch.optim.Adam(model.parameters(), 0.005)
    for _ in range(200):
        adam.zero_grad()
        (-model(torch.full_like(x, 0.5)).log_prob(x).mean()).backward()
        adam.step()
    assert model.noise.scale.item() == pytest.approx(
        (x - 0.5).square().mean().sqrt().item(), rel=1e-3
    )


def test_a_given_scale_is_not_trained_and_a_learned_one_is_saved():
    fixed = observation_model(ModelConfig(likelihood="gaussian", noise=0.2), EVENT)
    assert not list(fixed.parameters())
    assert fixed.noise.scale.unique().item() == pytest.approx(0.2)
    model = VAE.from_config(
        ModelConfig(hidden=(4,), likelihood="gaussian"), EVENT, generator=generator()
    )
    assert "likelihood.noise.log_ratio" in model.state_dict()


@pytest.mark.parametrize(
    ("likelihood", "noise"), [("bernoulli", 0.1), ("gaussian", 0.0), ("gaussian", float("inf"))]
)
def test_noise_that_cannot_be_is_refused(likelihood, noise):
    with pytest.raises(UsageError, match="noise"):
        ModelConfig(likelihood=likelihood, noise=noise)


def saved(path, values):
    np.save(path, values.numpy())
    return DataConfig(source=str(path), binarisation="none")


def grey_data(path, kind):
    g = generator(3)
    x = torch.rand(60, 4, 4, generator=g)
    if kind == "bernoulli":
        x = (x < 0.5).float()
    elif kind == "gaussian":
        x = 3 * x - 1
    elif kind in ("discretized-logistic", MIXTURE):
        x = (255 * x).round().to(torch.uint8)
    return load_data(saved(path, x))


@each_kind_and_the_mixture
def test_it_is_trained_and_evaluated_on_data_of_its_kind(kind, tmp_path):
    data = grey_data(tmp_path / "x.npy", kind)
    config = ModelConfig(hidden=(8,), likelihood=kind)
    model = VAE.from_config(config, data.event_shape, generator=generator())
    state = train(
        model, data, TrainConfig(epochs=20, batch_size=20, learning_rate=1e-2, device="cpu")
    )
    assert state.history[-1].elbo > state.history[0].elbo
    found = evaluate(model, data, k=10, seed=0)
    assert found.per_image["iwae"].isfinite().all()
    unit = "nats of density" if kind in ("continuous-bernoulli", "gaussian") else "nats"
    assert found.to_dict()["unit"] == f"{unit} per image"


def test_bits_per_dimension_are_those_of_grey_levels_alone(tmp_path):
    data = grey_data(tmp_path / "x.npy", "discretized-logistic")
    found = {}
    for kind in ("discretized-logistic", "gaussian"):
        config = ModelConfig(hidden=(4,), likelihood=kind)
        model = VAE.from_config(config, data.event_shape, generator=generator())
        found[kind] = evaluate(model, data, k=10, seed=0)
    levels, density = found.values()
    assert levels.bits.mean == pytest.approx(-levels.estimates["iwae"].mean / (16 * math.log(2)))
    assert levels.to_dict()["bits_per_dimension"]["mean"] == levels.bits.mean
    assert density.bits is None
    assert "bits_per_dimension" not in density.to_dict()
    with pytest.raises(
        IncomparableError, match="one is a probability of the images, the other a density"
    ):
        levels.minus(density)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("bernoulli", 0.25, "every value must be 0 or 1, found 0.25"),
        ("continuous-bernoulli", 1.5, r"every value must be in \[0, 1\], found 1.5"),
        ("discretized-logistic", 0.5, "every value must be one of the levels .*, found 0.5"),
    ],
)
def test_data_of_another_kind_is_refused(kind, value, expected, tmp_path):
    x = torch.zeros(30, 4, 4)
    x[:, 0, 0], x[5, 2, 2] = value, torch.nan
    data = load_data(saved(tmp_path / "x.npy", x))
    model = VAE.from_config(
        ModelConfig(hidden=(4,), likelihood=kind), data.event_shape, generator=generator()
    )
    with pytest.raises(DataError, match=expected):
        train(model, data, TrainConfig(epochs=1, device="cpu"))
    with pytest.raises(DataError, match=expected):
        evaluate(model, data, k=1, seed=0)


def grey_problem(kind):
    """A model, four rows of data, and their exact posterior: a copy, which may be changed."""
    return deepcopy(integrated(kind))


@cache
def integrated(kind):
    model = VAE.from_config(
        ModelConfig(
            hidden=(12,),
            likelihood=kind,
            noise=0.3 if kind in ("gaussian", "discretized-logistic") else None,
        ),
        EVENT,
        generator=generator(1),
    ).double()
    for p in model.decoder.parameters():
        p.data *= 2
    z = model.prior(4).sample(1, generator(4))[0]
    x = model.decode(z).sample(generator(5)).detach()
    mask = random_masks_like(x, seed=2)
    return model, x, mask, infer.grid(model, x, mask, generator=generator())


@each_kind
@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_fits_lie_below_the_evidence_and_near_it(kind, fit):
    model, x, mask, exact = grey_problem(kind)
    gap = exact.log_evidence - fit(model, x, mask, generator=generator()).log_weights(4_000)
    assert (gap.mean(0) > -4.5 * gap.std(0) / 4_000**0.5).all()
    assert gap.mean(0).median() < 0.5


@pytest.mark.full
@each_kind
def test_sampling_methods_find_the_posterior(kind):
    model, x, mask, exact = grey_problem(kind)
    annealed = infer.ais(model, x, mask, generator=generator(), distributions=60, chains=100)
    assert_mean((annealed.log_weights - exact.log_evidence).exp(), 1.0)
    resampled = infer.sir(model, x, mask, particles=20_000, widen=1.5, generator=generator())
    torch.testing.assert_close(resampled.log_evidence, exact.log_evidence, atol=0.1, rtol=0)
    chains = infer.hmc(model, x, mask, generator=generator(), chains=32, warmup=60, draws=100)
    assert_mean(chains.draws.mean(0), exact.mean, errors=6)
    walk = infer.metropolis_within_gibbs(model, x, mask, generator=generator(), sweeps=20)
    assert walk.draws.isfinite().all()


@each_kind
def test_completions_have_the_support_of_the_likelihood(kind):
    model, x, mask, exact = grey_problem(kind)
    found = infer.complete(model, x, mask, exact, draws=3, generator=generator())
    assert model.likelihood.density.fits(found.draws).all()
    assert torch.equal(found.draws[:, mask], x[mask].expand(3, -1))
