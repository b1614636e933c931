"""Adaptation of chains: the step size, and covariances for the mass matrix."""

import math

import torch

from elboroom.infer.chains.adaptation import StepSize
from elboroom.infer.chains.metric import covariance_of_curvature, covariance_of_draws
from elboroom.infer.target import Target
from tests.support.chain_cases import generator, linear


def test_dual_averaging_finds_the_step_of_the_aimed_acceptance():
    scale = torch.tensor([0.01, 0.3, 5.0]).double()
    search = StepSize.of(torch.ones(3).double())
    for _ in range(1_000):
        search = search.updated((-search.current / scale).exp())
    # exp(−ε/s) = 0.8
    torch.testing.assert_close(search.average, -scale * math.log(0.8), rtol=0.05, atol=0)


def test_the_curvature_of_a_linear_decoder_is_its_precision():
    exact, x, mask = linear(3)
    z = torch.randn(2, 6, 3, generator=generator(), dtype=torch.float64)
    covariance = covariance_of_curvature(Target.of(exact.model, x, mask), z)
    torch.testing.assert_close(covariance, exact.posterior(x, mask)[1].inverse())


def test_the_covariance_is_that_within_chains():
    draws = torch.randn(2_000, 4, 1, 2, generator=generator(), dtype=torch.float64)
    draws = draws @ torch.tensor([[1.0, 0.5], [0.0, 0.1]]).double()
    former = torch.eye(2).double()[None]
    covariance = covariance_of_draws(draws, former)
    apart = torch.arange(4.0).double()[:, None, None] * 100
    torch.testing.assert_close(covariance_of_draws(draws + apart, former), covariance)
    weighed = 3 / 8_003 * former  # as D + 1 draws
    expected = torch.tensor([[1.0, 0.5], [0.5, 0.26]]).double() * 8_000 / 8_003 + weighed
    torch.testing.assert_close(covariance[0], expected[0], rtol=0.06, atol=0)
    torch.testing.assert_close(covariance_of_draws(draws[:0], former), former)
