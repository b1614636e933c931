"""The registries of priors and posteriors, and what a prior of one's own needs."""

from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from elboroom.config import ModelConfig, PosteriorName, PriorName
from elboroom.model.posteriors import POSTERIOR_FAMILIES, Density, DiagonalGaussian
from elboroom.model.priors import PRIOR_CLASSES, Prior
from elboroom.model.vae import VAE
from tests.support.fit_cases import EVENT, generator, pictures


class Wide(Prior):
    """N(0, 4 I), with only the required members."""

    def __init__(self, latents: int) -> None:
        super().__init__()
        self.latents = latents

    def forward(self, batch: int) -> DiagonalGaussian:
        zeros = torch.zeros(batch, self.latents)
        return DiagonalGaussian(zeros, zeros + torch.log(torch.tensor(2.0)))

    def curvature(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return -z / 4, torch.eye(self.latents).expand(len(z), -1, -1) / 4


def test_every_name_has_a_prior_and_a_posterior():
    assert set(PRIOR_CLASSES) == set(get_args(PriorName))
    assert set(POSTERIOR_FAMILIES) == set(get_args(PosteriorName))


@pytest.mark.parametrize("name", sorted({*get_args(PosteriorName)} - {"laplace"}))
def test_a_family_builds_densities_from_parameters_of_its_sizes(name):
    family = POSTERIOR_FAMILIES[name]
    build = family.build(3, generator())
    q = build(*(torch.zeros(5, size) for size in family.sizes(3)))
    assert isinstance(q, Density)
    assert q.sample(2, generator()).shape == (2, 5, 3)
    weights = sum(p.numel() for p in build.parameters()) if isinstance(build, nn.Module) else 0
    assert family.least_weights(3) <= weights


@pytest.mark.parametrize("name", get_args(PriorName))
def test_a_prior_has_its_least_weights_or_more(name):
    config = ModelConfig(3, (8,), prior=name, components=4)
    images = torch.zeros(4, *EVENT)
    model = VAE.from_config(config, EVENT, generator=generator(), images=images)
    assert isinstance(model.prior, PRIOR_CLASSES[name])
    weights = sum(p.numel() for p in model.prior.parameters())
    assert PRIOR_CLASSES[name].least_weights(config, EVENT) <= weights


def test_a_prior_in_the_registry_needs_only_the_required_members(monkeypatch):
    monkeypatch.setitem(PRIOR_CLASSES, "standard", Wide)
    model = VAE.from_config(ModelConfig(2, (8,)), EVENT, generator=generator())
    assert isinstance(model.prior, Wide)
    q = model.posterior(pictures(3, seed=1)[0].float())
    assert model.prior.kl(q) is model.prior.kl_per_latent(q, generator()) is None
    assert model.prior.fixed() is model.prior
    assert Wide.least_weights(ModelConfig(), EVENT) == 0
    assert (
        model.log_weights(pictures(3, seed=1)[0].float(), 2, generator=generator()).isfinite().all()
    )
