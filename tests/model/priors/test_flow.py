"""The FlowPrior: its first density and weights, and its missing KL."""

import torch

from elboroom.model.posteriors import DiagonalGaussian
from elboroom.model.priors import FlowPrior, StandardNormal
from tests.support.prior_cases import noise


def test_a_flow_starts_as_the_standard_normal():
    prior, z = FlowPrior(3, noise()), 3 * torch.randn(5, 4, 3, generator=noise(1))
    torch.testing.assert_close(prior(4).log_prob(z), StandardNormal(3)(4).log_prob(z))
    gradient, precision = prior.curvature(z[0])
    torch.testing.assert_close(gradient, -z[0])
    torch.testing.assert_close(precision, torch.eye(3).expand(4, -1, -1))


def test_a_flow_draws_its_first_weights_from_the_generator():
    state = torch.random.get_rng_state()
    first, again, other = FlowPrior(3, noise()), FlowPrior(3, noise()), FlowPrior(3, noise(1))
    same = [torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True)]
    assert all(same)
    assert any(
        not torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True)
    )
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_flow_returns_no_kl():
    q = DiagonalGaussian.standard((3, 2), torch.zeros(1))
    assert FlowPrior(2, noise()).kl_per_latent(q, noise()) is None
    assert FlowPrior(2, noise()).kl(q) is None
