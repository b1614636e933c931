"""The VampPrior: its density, pseudo-inputs and encoder."""

import math

import pytest
import torch

from elboroom.config import ModelConfig
from elboroom.errors import UsageError
from elboroom.model.posteriors import DiagonalGaussian
from elboroom.model.priors import VampPrior
from elboroom.model.vae import VAE
from tests.support.prior_cases import Halves, noise, vamp


def test_a_vamp_prior_is_the_mean_of_the_posteriors_of_its_pseudo_inputs():
    prior, z = vamp(), torch.randn(6, 1, 2, generator=noise(6), dtype=torch.float64)
    q = DiagonalGaussian(*Halves()(prior.pseudo_inputs))
    expected = torch.logsumexp(q.log_prob(z), -1) - math.log(5)
    torch.testing.assert_close(prior(1).log_prob(z)[:, 0], expected)
    torch.testing.assert_close(prior.fixed()(1).log_prob(z)[:, 0], expected)


def test_pseudo_inputs_stay_in_the_range_of_images():
    outside = VampPrior(Halves(), torch.tensor([[[[-1.0, 0.5, 2.0, 0.5]]]]))
    inside = VampPrior(Halves(), torch.tensor([[[[0.0, 0.5, 1.0, 0.5]]]]))
    z = torch.zeros(1, 1, 2)
    assert outside(1).log_prob(z) == inside(1).log_prob(z)


def test_pseudo_inputs_are_real_where_the_data_are():
    images = torch.tensor([-3.0, 0.5, 2.0, 7.0]).view(1, 1, 2, 2)
    for likelihood, shown in [("gaussian", images), ("bernoulli", images.clamp(0, 1))]:
        options = {"likelihood": likelihood, "standardise": "none"}
        config = ModelConfig(hidden=(8,), prior="vamp", components=1, **options)
        model = VAE.from_config(config, (1, 2, 2), generator=noise(), images=images)
        q, z = model.posterior(shown), torch.zeros(1, 2)
        torch.testing.assert_close(model.prior(1).log_prob(z), q.log_prob(z))


def test_the_encoder_of_a_vamp_prior_is_the_models_own_and_listed_once():
    config = ModelConfig(hidden=(8,), prior="vamp", components=6)
    images = torch.rand(6, 1, 4, 4, generator=noise())
    model = VAE.from_config(config, (1, 4, 4), generator=noise(), images=images)
    assert [name for name in model.state_dict() if name.startswith("prior")] == [
        "prior.pseudo_inputs"
    ]
    before = model.prior(1).log_prob(torch.zeros(1, 2))
    model.encoder.trunk[-1].bias.data += 1
    assert model.prior(1).log_prob(torch.zeros(1, 2)) != before


def test_a_vamp_prior_needs_images_of_the_right_number_and_shape():
    config = ModelConfig(hidden=(8,), prior="vamp", components=6)
    for images in (None, torch.zeros(5, 1, 4, 4)):
        with pytest.raises(UsageError, match="pseudo-inputs cannot start at training rows"):
            VAE.from_config(config, (1, 4, 4), generator=noise(), images=images)
