import math
import warnings

import pytest
import torch

from elboroom.evaluation.latent_usage import Information
from elboroom.model.posteriors import DiagonalGaussian
from elboroom.model.priors import MixturePrior, StandardNormal
from tests.support import ladder_cases
from tests.support.ladder_cases import generator
from tests.support.oracles import assert_mean, assert_rejected


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


def sampled(mean, seed, log_std=-0.7):
    """The information of a Gaussian q under a mixture, whose KL has no closed form."""
    peaks = torch.tensor([[-1.0], [1.0]]).expand(2, mean.shape[1])
    prior = MixturePrior(torch.zeros(2), peaks, torch.zeros_like(peaks)).requires_grad_(False)
    q = DiagonalGaussian(mean, torch.full_like(mean, log_std))
    return Information.of([q], prior, torch.Generator().manual_seed(seed))


def test_the_standard_error_of_a_sampled_kl_counts_images_and_draws():
    means = torch.randn(200, 50, 2, generator=torch.Generator().manual_seed(3))
    found = [sampled(mean, seed) for seed, mean in enumerate(means)]
    errors = torch.stack([each.kl_standard_error for each in found]).square().mean(0).sqrt()
    between = torch.stack([each.kl for each in found]).std(0)

    def check(errors):
        # the standard deviation of 200 values is known to within 5 %
        torch.testing.assert_close(errors, between, rtol=0.2, atol=0)

    check(errors)
    assert_rejected(lambda: check(errors / 2**0.5))
    # of the draws alone, which a KL by many draws of each image would not have
    alone = torch.stack([sampled(means[0], seed).kl for seed in range(200)]).std(0)
    assert_rejected(lambda: check((errors.square() - alone.square()).sqrt()))


def test_one_image_has_no_activity_and_no_standard_error():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = information(torch.ones(1, 3), torch.zeros(1, 3))
    assert not found.known
    assert found.activity.isnan().all()
    assert found.kl_standard_error is None
    assert found.kl.tolist() == [0.5] * 3


def test_kl_and_activity_are_latent_by_latent():
    mean = torch.tensor([[1.0, 0.05], [-1.0, -0.05]])
    found = information(mean, torch.zeros(2, 2))
    torch.testing.assert_close(found.kl, torch.tensor([0.5, 0.00125]).double())
    torch.testing.assert_close(found.activity, torch.tensor([2.0, 0.005]).double())
    assert found.active.tolist() == [True, False]


@pytest.fixture(scope="module")
def of_levels():
    """The densities of a ladder for 600 rows in two batches, of which only one is kept."""
    model = ladder_cases.ladder((5,), spread=0.4, levels=(2,), level_channels=(2,))
    x = (ladder_cases.numbers(600, 5) > 0).double()
    return model, [model.posterior(some) for some in x.split(500)]


def test_the_kl_of_each_level_is_in_closed_form_given_the_levels_above(of_levels):
    """Σ_l E[KL_l] is E[log q(ε | x) − log p(ε)], by other draws."""
    model, parts = of_levels
    levels = Information.of(iter(parts), model.prior, generator()).levels
    assert [level.shape for level in levels] == [(2,), (2, 1, 1), (2, 1, 1)]
    drawn = [q.draw(200, generator(3)) for q in parts]
    log_ratio = [log_q - model.prior(z.shape[1]).log_prob(z) for z, log_q in drawn]
    expected = torch.cat(log_ratio, 1).mean(0)

    def check(kl):
        assert_mean(kl - expected, 0.0)

    total = torch.stack([level.kl for level in levels]).sum(0)
    check(total)
    assert_rejected(lambda: check(total - levels[1].kl))


def test_active_latents_are_counted_by_level(of_levels):
    model, parts = of_levels
    found = Information.of(parts, model.prior, generator())
    counted = [int(some.sum()) for some in found.active.split([2, 2, 2])]
    assert [level.active for level in found.levels] == counted
    assert sum(counted) > 0


def test_a_model_of_one_level_has_no_levels():
    assert information(torch.zeros(4, 3), torch.zeros(4, 3)).levels == ()
