import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Independent, Normal, kl_divergence

from elboroom.posteriors import DiagonalGaussian
from oracles import assert_mean, assert_rejected


def gaussian(rows, latents, seed):
    g = torch.Generator().manual_seed(seed)
    mean = torch.randn(rows, latents, generator=g, dtype=torch.float64)
    return DiagonalGaussian(mean, torch.randn(mean.shape, generator=g, dtype=torch.float64))


def reference(q):
    return Independent(Normal(q.mean, q.log_std.exp()), 1)


gaussians = st.builds(gaussian, st.integers(1, 4), st.integers(1, 5), st.integers(0, 10**6))


@given(gaussians)
def test_kl_to_the_prior_is_that_of_torch_distributions(q):
    prior = DiagonalGaussian.standard(tuple(q.mean.shape), q.mean)
    expected = kl_divergence(reference(q), reference(prior))
    torch.testing.assert_close(q.kl_to_prior(), expected)
    assert (q.kl_to_prior() >= 0).all()
    assert torch.equal(prior.kl_to_prior(), torch.zeros(len(q.mean)).double())


@given(gaussians, st.integers(1, 3))
def test_log_prob_is_that_of_torch_distributions(q, k):
    z = q.sample(k, torch.Generator().manual_seed(0))
    assert z.shape == (k, *q.mean.shape)
    torch.testing.assert_close(q.log_prob(z), reference(q).log_prob(z))


def test_draws_have_the_mean_and_the_variance():
    q = gaussian(3, 2, 1)
    z = q.sample(50_000, torch.Generator().manual_seed(2))
    squares = (z - q.mean).square()
    assert_mean(z, q.mean)
    assert_mean(squares, (2 * q.log_std).exp())
    assert_rejected(lambda: assert_mean(squares, (1.1 * q.log_std).exp()))


def test_draws_and_densities_are_differentiable_in_the_parameters():
    q = gaussian(2, 2, 3)
    parameters = (q.mean.requires_grad_(), q.log_std.requires_grad_())

    def of(mean, log_std):
        q = DiagonalGaussian(mean, log_std)
        z = q.sample(2, torch.Generator().manual_seed(4))
        return z, q.log_prob(torch.ones(1, 2, 2).double()), q.kl_to_prior()

    assert torch.autograd.gradcheck(of, parameters)
