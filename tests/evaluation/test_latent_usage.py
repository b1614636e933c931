import math

import pytest
import torch

from elboroom.evaluation.latent_usage import Information
from elboroom.model.posteriors import DiagonalGaussian
from elboroom.model.priors import StandardNormal


def information(mean, log_std, seed=0):
    q, prior = DiagonalGaussian(mean, log_std), StandardNormal(mean.shape[1])
    return Information.of([q], prior, torch.Generator().manual_seed(seed))


def test_latents_that_ignore_the_data_have_no_information():
    found = information(torch.zeros(2_500, 3), torch.zeros(2_500, 3))
    assert found.kl.tolist() == [0.0] * 3
    assert found.active.tolist() == [False] * 3
    torch.testing.assert_close(found.mutual, torch.zeros(2_500).double())


def test_images_with_separate_posteriors_have_log_n_nats():
    mean = torch.arange(1_500.0)[:, None]
    found = information(mean, torch.full((1_500, 1), math.log(1e-3)))
    torch.testing.assert_close(
        found.mutual, torch.full((1_500,), math.log(1_500)).double(), atol=1e-3, rtol=0
    )
    assert found.active.tolist() == [True]


@pytest.mark.parametrize("rows", [1_000, 1_001])
def test_the_mutual_information_of_a_gaussian_channel_is_its_capacity(rows):
    # z = x + σ ε with x ~ N(0, 1): I = ½ log(1 + 1/σ²); the second latent has no information
    g, sigma = torch.Generator().manual_seed(1), 0.5
    x = torch.randn(20 * rows, generator=g)
    mean = torch.stack([x, torch.zeros_like(x)], 1)
    log_std = torch.tensor([math.log(sigma), 0.0]).expand(mean.shape)
    mutual = torch.stack(
        [
            information(m, s).mutual
            for m, s in zip(mean.split(rows), log_std.split(rows), strict=True)
        ]
    )
    error = mutual.mean(1).std() / math.sqrt(len(mutual))
    assert abs(mutual.mean() - 0.5 * math.log(1 + sigma**-2)) < 4.5 * error + 2 / rows
    assert abs(mutual.mean() - math.log(1 / sigma)) > 4.5 * error + 2 / rows


def test_kl_and_activity_are_latent_by_latent():
    mean = torch.tensor([[1.0, 0.05], [-1.0, -0.05]])
    found = information(mean, torch.zeros(2, 2))
    torch.testing.assert_close(found.kl, torch.tensor([0.5, 0.00125]).double())
    torch.testing.assert_close(found.activity, torch.tensor([2.0, 0.005]).double())
    assert found.active.tolist() == [True, False]
