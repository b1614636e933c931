"""The contract of a likelihood: its attributes and their defaults, and the registry."""

from dataclasses import dataclass, fields
from typing import get_args

import pytest
import torch
from torch import Tensor

from elboroom.config import LikelihoodName, ModelConfig
from elboroom.data import Part
from elboroom.errors import DataError
from elboroom.model.likelihoods import (
    LIKELIHOOD_CLASSES,
    Bernoulli,
    GaussianPixels,
    LearnedNoise,
    Likelihood,
    ObservationModel,
    Standardised,
    Units,
    observation_model,
    require_support,
)
from elboroom.model.vae import VAE
from tests.support.oracles import assert_rejected

EVENT = (1, 4, 4)
each_name = pytest.mark.parametrize("name", LIKELIHOOD_CLASSES)
# Those whose values are independent given z, and have an entry of the parameter each.
APART = [name for name, kind in LIKELIHOOD_CLASSES.items() if kind.parameter_shape(EVENT) == EVENT]
each_name_apart = pytest.mark.parametrize("name", APART)


@dataclass(frozen=True)
class Laplace(Likelihood):
    """Pixels with Laplace noise of one scale, with only what the contract requires."""

    location: Tensor
    scale: Tensor

    has_scale = True

    @property
    def mean(self) -> Tensor:
        return self.location

    def sample(self, generator: torch.Generator) -> Tensor:
        raise NotImplementedError

    def log_prob(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        raise NotImplementedError

    def log_prob_table(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        raise NotImplementedError

    def score(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        raise NotImplementedError

    def information(self, mask: Tensor | None = None) -> Tensor:
        raise NotImplementedError


@pytest.fixture
def part():
    return Part(torch.tensor([[0.25, 3.0]]), None)


def test_every_name_has_a_class():
    # "columns" names no class alone: `columns_class` makes one for each table.
    assert {"auto", "columns", *LIKELIHOOD_CLASSES} == set(get_args(LikelihoodName))


@each_name
def test_a_class_has_a_scale_where_the_config_has_noise(name):
    kind = LIKELIHOOD_CLASSES[name]
    assert ModelConfig(likelihood=name).may_have_noise == kind.has_scale
    assert ("scale" in [field.name for field in fields(kind)]) == kind.has_scale


@each_name
def test_the_class_behind_a_model_is_found(name):
    found = observation_model(ModelConfig(likelihood=name), EVENT)
    assert found.density is LIKELIHOOD_CLASSES[name]


@each_name
def test_bounded_likelihoods_accept_nothing_beyond_black_and_white(name):
    kind, beyond = LIKELIHOOD_CLASSES[name], torch.tensor([-1.0, 2.0])
    assert kind.fits(beyond).any() != kind.bounded


def assert_per_value(likelihood, x, mask):
    """Each value has the log-density that remains where it alone is seen."""
    found = likelihood.log_prob_per_value(x, mask)
    assert found.shape == (3, *x.shape)
    seen = torch.ones_like(x, dtype=torch.bool) if mask is None else mask.expand_as(x)
    assert (found[:, ~seen] == 0).all()
    torch.testing.assert_close(found.flatten(2).sum(-1), likelihood.log_prob(x, mask))
    for place in range(x[0].numel()):
        alone = torch.zeros(x[0].numel(), dtype=torch.bool)
        alone[place] = True
        alone = alone.view(x.shape[1:]) & seen
        expected = likelihood.log_prob(x, alone)
        torch.testing.assert_close(found.flatten(2)[..., place], expected)


@each_name_apart
@pytest.mark.parametrize("scale", [(), (2, 1, 1), (2, 2, 3)])
@pytest.mark.parametrize("standardised", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_the_log_densities_of_values_add_up(name, scale, standardised, masked):
    g = torch.Generator().manual_seed(0)
    kind, event = LIKELIHOOD_CLASSES[name], (2, 2, 3)
    parameter = torch.randn(3, 4, *event, generator=g).double()
    scales = [torch.rand(scale, generator=g).double() + 0.5] if kind.has_scale else []
    likelihood = kind(parameter, *scales)
    x = likelihood.sample(g)[0]
    if standardised:
        units = Units((2, 1, 1)).double()
        units.location += 3.0
        units.scale *= torch.tensor([0.1, 20.0]).view(2, 1, 1)
        likelihood, x = Standardised(likelihood, units), units.restore(x)
    mask = torch.rand(4, *event, generator=g) < 0.6 if masked else None
    x = x if mask is None else x.masked_fill(~mask, torch.nan)
    assert_per_value(likelihood, x, mask)


def test_a_planted_bug_in_the_log_densities_of_values_is_noticed(monkeypatch):
    g = torch.Generator().manual_seed(0)
    units = Units((6,)).double()
    units.scale *= torch.arange(1.0, 7.0)
    inner = GaussianPixels(torch.randn(3, 4, 6, generator=g).double(), torch.ones(6).double())
    x = torch.randn(4, 6, generator=g).double()
    assert_per_value(Standardised(inner, units), x, None)
    monkeypatch.setattr(
        Standardised,
        "log_prob_per_value",
        lambda self, x, mask=None: self.inner.log_prob_per_value(self.units.standardise(x), mask),
    )
    assert_rejected(lambda: assert_per_value(Standardised(inner, units), x, None))


@each_name
@pytest.mark.parametrize("event", [(3, 2, 5), (1, 4, 4), (7,)])
def test_a_decoder_returns_the_shape_that_the_likelihood_states(name, event):
    g = torch.Generator().manual_seed(0)
    config = ModelConfig(hidden=(4,), likelihood=name)
    model = VAE.from_config(config, event, generator=g)
    kind = model.likelihood.density
    assert model.decoder_output(torch.zeros(3, 2)).shape == (3, *model.parameter_shape)
    density = model.decode(torch.zeros(4, 3, 2))
    assert density.mean.shape == (4, 3, *event)
    x = density.sample(g)[0]
    mask = torch.rand(3, *event, generator=g) < 0.5
    torn = x.masked_fill(~mask, torch.nan)
    assert kind.parameter_mask(mask).shape == (3, *model.parameter_shape)
    assert density.score(torn, mask).shape == (4, 3, *model.parameter_shape)
    information = density.information(mask)
    assert (information[:, ~kind.parameter_mask(mask)] == 0).all()
    assert (information >= 0).all()
    assert kind.sites(mask)[mask].all()
    changes = torch.randn(5, 3, *model.parameter_shape, generator=g)
    one = model.decode(torch.zeros(3, 2))
    # cᵀ (W c)
    found = torch.einsum("ibl,jbl->bij", changes.flatten(2), one.weighted(changes, mask).flatten(2))
    expected = one.precision(changes.flatten(2).transpose(0, 1), mask)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    # p(x) = p(x_seen) p(x_unseen | x_seen)
    whole = density.log_prob(torn, mask) + density.given(torn, mask).log_prob(x, ~mask)
    torch.testing.assert_close(whole, density.log_prob(x))


def test_the_class_of_a_function_is_unknown():
    assert ObservationModel(lambda logits: Bernoulli(logits)).density is Likelihood


def test_the_required_members_are_required():
    names = r"information.*log_prob.*log_prob_table.*mean.*sample.*score"
    with pytest.raises(TypeError, match=names):
        Likelihood()  # type: ignore[abstract]


def test_defaults(part):
    defaults = Laplace.is_density, Laplace.in_bits, Laplace.bounded, Likelihood.has_scale
    assert defaults == (False, False, True, False)
    image = torch.tensor([0.2, torch.inf])
    assert Laplace.fits(image).all()
    assert Laplace.parameter_of(image, image) is image
    require_support(Laplace, part, "data")


def test_any_likelihood_with_a_scale_can_learn_it():
    learned = ObservationModel(Laplace, LearnedNoise(()))
    assert learned(torch.zeros(3)).scale.item() == pytest.approx(0.25)
    assert [name for name, _ in learned.named_parameters()] == ["noise.log_ratio"]


def test_values_that_do_not_fit_are_named(part):
    with pytest.raises(DataError, match=r"must be 0 or 1, found 0\.25"):
        require_support(Bernoulli, part, "data")
