"""The observation model: units, noise, and densities of x in the data's own units."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from elboroom.config import ModelConfig
from elboroom.data.statistics import Statistics
from elboroom.errors import DataError, UsageError
from elboroom.model.likelihoods import (
    Bernoulli,
    DiscretizedLogistic,
    GaussianPixels,
    ObservationModel,
    Standardised,
    observation_model,
)
from elboroom.model.vae import VAE
from tests.support.fit_cases import generator
from tests.support.oracles import assert_mean, assert_rejected

MEAN = torch.tensor([1e4, -3e-17, 0.5, 7e9], dtype=torch.float64)
STD = torch.tensor([1.0, 2e-17, 3.0, 4e9], dtype=torch.float64)
COUNT = torch.full((4,), 100.0, dtype=torch.float64)
STATISTICS = Statistics(MEAN, STD, COUNT)
REAL = ModelConfig(likelihood="gaussian")


def observed(config: ModelConfig = REAL, statistics: Statistics = STATISTICS) -> ObservationModel:
    model = observation_model(config, tuple(statistics.mean.shape)).double()
    model.measure(statistics)
    return model


def some_data(rows: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    """Decoder outputs (5, rows, 4), data (rows, 4) with NaN where unseen, and the mask."""
    g = generator(1)
    parameter = torch.randn(5, rows, 4, generator=g, dtype=torch.float64)
    x = MEAN + STD * torch.randn(rows, 4, generator=g, dtype=torch.float64)
    mask = torch.rand(rows, 4, generator=g) < 0.6
    return parameter, x.masked_fill(~mask, torch.nan), mask


def varied(model: ObservationModel) -> ObservationModel:
    """Give each value a noise of its own."""
    model.noise.log_ratio.data.copy_(torch.tensor([-0.1, 0.05, 0.0, -0.2]))
    return model


def gaussians(model: ObservationModel, parameter: Tensor) -> Normal:
    return Normal(MEAN + STD * parameter, STD * model.noise.scale)


def test_densities_are_gaussians_in_the_units_of_the_data():
    model = varied(observed())
    parameter, x, mask = some_data()
    expected = gaussians(model, parameter)
    alone = expected.log_prob(x.nan_to_num()).masked_fill(~mask, 0).sum(-1)
    torch.testing.assert_close(model(parameter).log_prob(x, mask), alone)
    whole = expected.mean[0]
    torch.testing.assert_close(model(parameter).log_prob(whole), expected.log_prob(whole).sum(-1))
    torch.testing.assert_close(model(parameter).mean, expected.mean)


@pytest.mark.parametrize("column", range(4))
def test_a_density_integrates_to_one_in_its_units(column: int):
    model = varied(observed())
    parameter = torch.tensor([0.3, -2.0, 0.0, 1.0]).double()
    density = gaussians(model, parameter)
    steps = torch.linspace(-9, 9, 4_001, dtype=torch.float64)[:, None]
    x = (density.mean + density.stddev * steps).masked_fill(torch.arange(4) != column, torch.nan)
    p = model(parameter.expand_as(x)).log_prob(x, ~x.isnan()).exp()
    width = (density.stddev * (steps[1] - steps[0]))[column]
    assert (p * width).sum().item() == pytest.approx(1, abs=1e-9)


def test_the_table_and_the_derivatives_are_those_of_the_log_prob():
    model = varied(observed())
    parameter, x, mask = some_data()
    parameter = parameter[:, :1].requires_grad_()  # the same for all rows
    density = model(parameter)
    expected = density.log_prob(x, mask)
    table = model(parameter[:, 0]).log_prob_table(x, mask)
    torch.testing.assert_close(table, expected)
    each = parameter.expand(-1, len(x), -1)
    score = torch.autograd.grad(model(each).log_prob(x, mask).sum(), each)[0]
    torch.testing.assert_close(model(each).score(x, mask), score)
    # The information of a Gaussian on its location is 1/σ², here by the decoder's output.
    information = model(each).information(mask)
    torch.testing.assert_close(
        information, (mask / model.noise.scale.square()).expand_as(information)
    )


def test_the_table_keeps_a_small_noise_in_float32():
    """|x − μ|² / σ² as a difference of squares loses its digits where σ is small."""
    parameter, x, _ = some_data()
    model = observed()
    model.noise.log_ratio.data.fill_(math.log(2e-3) / 10)
    y = model.standardise(x.nan_to_num()).float()
    density = GaussianPixels(parameter[:, 0].float(), model.noise.scale.float())
    exact = Normal(parameter[:, :1], model.noise.scale).log_prob(y.double()).sum(-1)
    error = (density.log_prob_table(y) - exact).abs() / exact.abs()
    assert error.max() < 1e-6


def test_draws_have_the_moments_of_the_density_in_the_units_of_the_data():
    model = varied(observed())
    parameter = torch.tensor([0.3, -2.0, 0.0, 1.0]).double()
    draws = model(parameter.expand(20_000, -1)).sample(generator())
    density = gaussians(model, parameter)
    scaled = (draws - density.mean) / density.stddev
    moments = torch.stack([scaled, scaled.square()], -1)
    assert_mean(moments, torch.tensor([0.0, 1.0]).double())
    assert_rejected(lambda: assert_mean(moments + 0.05, torch.tensor([0.0, 1.0]).double()))


def test_some_values_alone_have_their_own_units_and_noise():
    model = varied(observed())
    parameter, x, mask = some_data()
    pixels = torch.tensor([3, 1])
    part = model.restricted_to(pixels, (4,))
    unseen = torch.ones(4, dtype=torch.bool)
    unseen[pixels] = False
    expected = model(parameter).log_prob(x, mask & ~unseen)
    found = part(parameter[..., pixels]).log_prob(x[:, pixels], mask[:, pixels])
    torch.testing.assert_close(found, expected)


def test_channels_share_units_and_noise_and_their_values_can_be_restricted():
    statistics = Statistics(
        torch.randn(2, 3, 4, generator=generator()).double() + torch.tensor([[[100.0]], [[-5.0]]]),
        torch.rand(2, 3, 4, generator=generator(1)).double() + 0.1,
        torch.full((2, 3, 4), 10.0).double(),
    )
    model = observed(REAL, statistics)
    assert model.units.scale.shape == model.noise.scale.shape == (2, 1, 1)
    torch.testing.assert_close(model.units.location.flatten(), statistics.mean.mean((1, 2)))
    parameter = torch.randn(7, 2, 3, 4, generator=generator(2)).double()
    x = torch.randn(7, 2, 3, 4, generator=generator(3)).double()
    pixels = torch.tensor([0, 5, 23])
    mask = torch.zeros(24, dtype=torch.bool).index_fill(0, pixels, True).view(2, 3, 4)
    part = model.restricted_to(pixels, (2, 3, 4))
    torch.testing.assert_close(
        part(parameter.flatten(1)[:, pixels]).log_prob(x.flatten(1)[:, pixels]),
        model(parameter).log_prob(x, mask.expand_as(x)),
    )


def test_functions_are_not_restricted():
    assert (
        ObservationModel(lambda logits: Bernoulli(logits)).restricted_to(torch.arange(2), (4,))
        is None
    )
    assert ObservationModel(Bernoulli).restricted_to(torch.arange(2), (4,)) is not None


@pytest.mark.parametrize(
    ("standardise", "shape", "units", "noise"),
    [
        ("auto", (5,), (5,), (5,)),
        ("auto", (3, 4, 4), (3, 1, 1), (3, 1, 1)),
        ("value", (3, 4, 4), (3, 4, 4), (3, 4, 4)),
        ("channel", (3, 4, 4), (3, 1, 1), (3, 1, 1)),
        ("all", (5,), (), ()),
        ("none", (5,), None, (5,)),
        ("none", (3, 4, 4), None, (3, 1, 1)),
    ],
)
def test_values_share_what_the_option_says(standardise, shape, units, noise):
    model = observation_model(replace(REAL, standardise=standardise), shape)
    assert (None if model.units is None else model.units.scale.shape) == units
    assert model.noise.scale.shape == noise


def test_only_gaussians_are_standardised():
    for name in ("bernoulli", "continuous-bernoulli", "discretized-logistic"):
        config = ModelConfig(likelihood=name)
        assert observation_model(config, (4,)).units is None
        with pytest.raises(UsageError, match="standardise"):
            replace(config, standardise="value")
    with pytest.raises(UsageError, match="without channels"):
        observation_model(replace(REAL, standardise="channel"), (4,))


def test_learned_noise_begins_where_the_data_are():
    assert torch.equal(observed().noise.scale, torch.ones(4).double())
    plain = observed(replace(REAL, standardise="none"))
    torch.testing.assert_close(plain.noise.scale, STD)
    levels = Statistics(torch.full((3,), 0.5), torch.tensor([0.05, 0.08, 0.1]), torch.ones(3))
    logistic = observed(ModelConfig(likelihood="discretized-logistic"), levels)
    density = DiscretizedLogistic(torch.full((20_000, 3), 0.5).double(), logistic.noise.scale)
    assert (density.sample(generator()).std(0) / levels.std - 1).abs().max() < 0.03


def test_learned_noise_reaches_a_tenth_within_some_hundred_steps_of_adam():
    """The parameter of Adam moves by its rate: log σ moved by 0.001 a step before."""
    model = observed()
    x = MEAN + 0.1 * STD * torch.randn(500, 4, generator=generator()).double()
    adam = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(400):
        adam.zero_grad()
        (-model(torch.zeros_like(x)).log_prob(x).mean()).backward()
        adam.step()
    assert (model.noise.scale / 0.1 - 1).abs().max() < 0.15


def test_given_noise_is_in_the_units_of_the_data():
    model = observed(replace(REAL, noise=0.2))
    parameter, x, _ = some_data()
    x = x.nan_to_num()
    expected = Normal(MEAN + STD * parameter, 0.2).log_prob(x)[..., [0, 2]].sum(-1)
    seen = torch.tensor([True, False, True, False]).expand_as(x)
    torch.testing.assert_close(model(parameter).log_prob(x, seen), expected)
    assert not list(model.parameters())


def test_units_are_measured_once_and_come_back_from_a_state_dict():
    model, other = observed(), observation_model(REAL, (4,)).double()
    assert model.is_measured
    assert not other.is_measured
    other.load_state_dict(varied(model).state_dict())
    assert other.is_measured
    parameter, x, mask = some_data()
    assert torch.equal(other(parameter).log_prob(x, mask), model(parameter).log_prob(x, mask))


def test_a_likelihood_without_noise_and_units_has_no_state():
    model = observation_model(ModelConfig(likelihood="bernoulli"), (4,))
    model.measure(STATISTICS)
    assert not model.state_dict()
    assert type(model(torch.zeros(4))) is Bernoulli
    x = torch.ones(4)
    assert model.standardise(x) is x


@pytest.mark.parametrize("scale", [1e-31, 1e31])
def test_a_scale_beyond_float32_is_refused(scale: float):
    with pytest.raises(DataError, match="beyond the range of float32"):
        observed(REAL, Statistics(MEAN, scale * torch.ones(4).double(), COUNT))


def test_the_encoder_sees_standardised_values_and_unseen_ones_as_their_mean():
    model = VAE.from_config(
        ModelConfig(2, (4,), likelihood="gaussian"),
        (4,),
        generator=generator(),
        statistics=STATISTICS,
    )
    seen = list[Tensor]()
    model.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    y = torch.randn(3, 4, generator=generator(2))
    x = (MEAN + STD * y.double()).float()
    mask = torch.tensor([True, True, False, True]).expand(3, -1)
    model.posterior(x.masked_fill(~mask, torch.nan), mask)
    torch.testing.assert_close(seen[0], y * mask, atol=2e-3, rtol=0)
    assert (seen[0][:, 2] == 0).all()


def test_a_model_starts_at_the_marginals():
    model = VAE.from_config(
        ModelConfig(2, (4,), likelihood="gaussian", data_bias=True),
        (4,),
        generator=generator(),
        statistics=STATISTICS,
    )
    z = torch.zeros(1, 2)
    model.decoder.trunk[0].bias.data.zero_()  # the hidden layer is then 0 at z = 0
    density = model.decode(z)
    assert isinstance(density, Standardised)
    x = torch.from_numpy(np.random.default_rng(0).normal(MEAN, STD, (5, 4)))
    expected = Normal(MEAN, STD).log_prob(x.float().double()).sum(-1)
    torch.testing.assert_close(density.log_prob(x.float()).double(), expected, atol=1e-2, rtol=0)


def test_pseudo_inputs_are_standardised():
    g = generator()
    images = (MEAN + STD * torch.randn(5, 4, generator=g).double()).float()
    config = ModelConfig(2, (4,), likelihood="gaussian", prior="vamp", components=5)
    model = VAE.from_config(config, (4,), generator=g, statistics=STATISTICS, images=images)
    torch.testing.assert_close(model.prior.pseudo_inputs.data, model.likelihood.standardise(images))
    with pytest.raises(UsageError, match="units of the data are not known"):
        VAE.from_config(config, (4,), generator=g, images=images)
