"""The contract of a density: its required members, and the defaults of the optional ones."""

from dataclasses import FrozenInstanceError, dataclass

import pytest
import torch
from torch import Tensor

from elboroom import ModelConfig
from elboroom.errors import UsageError
from elboroom.evaluation.inference_gap import gaps
from elboroom.infer import sir, svi
from elboroom.infer.fitting.flow import SplineFlow
from elboroom.model.posteriors import (
    AmortisedFlow,
    CholeskyGaussian,
    Density,
    DiagonalGaussian,
    Gaussian,
    GaussianMixture,
    LowRankGaussian,
)
from elboroom.model.priors import SharedMixture
from elboroom.model.priors.flow import FlowDensity
from elboroom.model.vae import VAE
from tests.support.fit_cases import EVENT, generator, pictures

DENSITIES = [
    *(AmortisedFlow, CholeskyGaussian, DiagonalGaussian, SplineFlow, FlowDensity, Gaussian),
    *(GaussianMixture, LowRankGaussian, SharedMixture),
]


@dataclass(frozen=True)
class Laplace(Density):
    """Independent Laplace latents, with nothing but the required members."""

    location: Tensor
    log_scale: Tensor

    @property
    def mean(self) -> Tensor:
        return self.location

    def sample(self, k: int, generator: torch.Generator) -> Tensor:
        u = torch.rand((k, *self.location.shape), generator=generator) - 0.5
        return self.location - self.log_scale.exp() * u.sign() * torch.log1p(-2 * u.abs())

    def log_prob(self, z: Tensor) -> Tensor:
        eps = (z - self.location).abs() * (-self.log_scale).exp()
        return -(eps + self.log_scale + torch.log(torch.tensor(2.0))).sum(-1)


def model() -> VAE:
    """A model whose encoder answers with Laplace densities."""
    built = VAE.from_config(ModelConfig(2, (8,)), EVENT, generator=generator())
    return VAE(built.encoder, built.decoder, 2, family=Laplace)


@pytest.mark.parametrize("kind", DENSITIES)
def test_every_density_is_a_frozen_dataclass_of_the_contract(kind):
    assert issubclass(kind, Density)
    assert not kind.__abstractmethods__
    q = object.__new__(kind)
    with pytest.raises(FrozenInstanceError):
        q.anything = 1


def test_the_required_members_are_required():
    with pytest.raises(TypeError, match=r"log_prob.*mean.*sample"):
        Density()  # type: ignore[abstract]


def test_optional_members_have_defaults():
    q = model().posterior(pictures(3, seed=2)[0].float())
    z, log_q = q.draw(4, generator())
    assert torch.equal(z, q.sample(4, generator()))
    assert torch.equal(log_q, q.log_prob(z))
    assert q.covariance is q.marginals is q.independent is q.best_fit is None
    assert q.kl_to_standard() is q.widened(2.0) is None


@pytest.mark.parametrize(
    ("name", "call"), [("at", lambda q: q.at(q.mean)), ("detached", Density.detached)]
)
def test_a_member_without_a_default_is_named(name, call):
    q = Laplace(*torch.zeros(2, 3, 2))
    with pytest.raises(UsageError, match=f"Laplace does not implement `{name}`"):
        call(q)


def test_a_density_of_ones_own_can_be_a_proposal():
    x, mask = pictures(3, seed=2)
    found = sir(model(), x.float(), mask, generator=generator(), particles=50)
    assert found.z.shape == (50, 3, 2)


@pytest.mark.parametrize(
    ("use", "error"),
    [
        (lambda m, x: sir(m, x, generator=generator(), widen=2.0), "cannot be widened by 2"),
        (
            lambda m, x: svi(m, x, generator=generator(), start="encoder"),
            "cannot start at a Laplace",
        ),
        (
            lambda m, x: gaps(m, x, generator=generator()).approximation,
            "gap of this encoder is not split",
        ),
    ],
)
def test_what_a_density_does_not_know_is_an_error_that_names_it(use, error):
    with pytest.raises(UsageError, match=error):
        use(model(), pictures(3, seed=2)[0].float())
