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
    LearnedNoise,
    Likelihood,
    ObservationModel,
    observation_model,
    require_support,
)

each_name = pytest.mark.parametrize("name", LIKELIHOOD_CLASSES)
EVENT = (1, 4, 4)


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
    assert {"auto", *LIKELIHOOD_CLASSES} == set(get_args(LikelihoodName))


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
    assert Laplace.parameter_of(image) is image
    require_support(Laplace, part, "data")


def test_any_likelihood_with_a_scale_can_learn_it():
    learned = ObservationModel(Laplace, LearnedNoise(()))
    assert learned(torch.zeros(3)).scale.item() == pytest.approx(0.25)
    assert [name for name, _ in learned.named_parameters()] == ["noise.log_ratio"]


def test_values_that_do_not_fit_are_named(part):
    with pytest.raises(DataError, match=r"must be 0 or 1, found 0\.25"):
        require_support(Bernoulli, part, "data")
