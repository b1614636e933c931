import itertools
import math

import pytest
import torch

from elboroom.infer.fitting.expectation_nodes import (
    ExpectationNodes,
    antithetic,
    gauss_hermite,
    spherical_radial,
)
from tests.support.oracles import assert_rejected

LIKE = torch.zeros(0, dtype=torch.float64)
REPEATS, K = 2_000, 24


def moment(degree):
    """E[ε^n] of a standard normal."""
    return 0.0 if degree % 2 else float(math.prod(range(1, degree, 2)))


@pytest.mark.parametrize("latents", [1, 2, 3])
@pytest.mark.parametrize("order", [2, 4])
def test_the_quadrature_is_exact_for_polynomials_up_to_its_degree_and_no_further(order, latents):
    rule = gauss_hermite(order, latents, LIKE)
    assert rule.eps.shape == (order**latents, latents)
    for degrees in itertools.product(range(2 * order), repeat=latents):
        found = rule.mean((rule.eps ** torch.tensor(degrees)).prod(-1))
        assert found.item() == pytest.approx(math.prod(map(moment, degrees)), abs=1e-9)
    beyond = rule.mean(rule.eps[:, 0] ** (2 * order))
    assert beyond.item() < 0.99 * moment(2 * order)


def test_the_quadrature_has_no_error():
    rule = gauss_hermite(3, 2, LIKE)
    assert rule.exact
    assert torch.equal(rule.standard_error(torch.randn(9, 4)), torch.zeros(4))


@pytest.mark.parametrize(("k", "count"), [(8, 8), (7, 8), (1, 2)])
def test_random_nodes_come_in_pairs_so_that_odd_moments_vanish(k, count):
    nodes = antithetic(k, 3, LIKE, torch.Generator().manual_seed(0))
    assert nodes.eps.shape == (count, 3)
    assert not nodes.exact
    torch.testing.assert_close(nodes.weights.sum().item(), 1.0)
    for odd in (nodes.eps, nodes.eps**3, nodes.eps.prod(-1), nodes.eps.sin()):
        torch.testing.assert_close(nodes.mean(odd), torch.zeros_like(odd[0]), atol=1e-15, rtol=0)


def test_the_mean_is_unbiased_and_its_error_is_the_spread_over_repetitions():
    generator = torch.Generator().manual_seed(0)
    means, errors, naive = [], [], []
    for _ in range(REPEATS):
        nodes = antithetic(K, 2, LIKE, generator)
        # (K, 2): one function mostly odd, the other even
        values = torch.stack([nodes.eps[:, 0] + 0.1 * nodes.eps[:, 1] ** 2, nodes.eps[:, 0].cos()])
        means.append(nodes.mean(values.T))
        errors.append(nodes.standard_error(values.T))
        naive.append(values.std(1) / math.sqrt(K))
    means = torch.stack(means)
    spread = means.std(0)
    truth = torch.tensor([0.1, math.exp(-0.5)]).double()
    assert ((means.mean(0) - truth).abs() < 4.5 * spread / math.sqrt(REPEATS)).all()

    def check(errors):
        # The spread itself is known to one part in √(2 REPEATS), and so is the mean of s².
        squared = torch.stack(errors).square().mean(0)
        assert ((squared / spread.square() - 1).abs() < 0.2).all()

    check(errors)
    assert_rejected(lambda: check(naive))


@pytest.mark.parametrize(("k", "latents", "count"), [(2, 4, 9), (9, 4, 17)])
def test_orthogonal_nodes_are_exact_for_polynomials_of_degree_three(k, latents, count):
    nodes = spherical_radial(k, latents, LIKE, torch.Generator().manual_seed(0))
    assert nodes.eps.shape == (count, latents)
    assert not nodes.exact
    # Each pair alone, with the centre, knows the mean square of ε.
    assert nodes.standard_error(nodes.eps.square().sum(-1)) < 1e-12
    for degrees in itertools.product(range(4), repeat=latents):
        if sum(degrees) <= 3:
            found = nodes.mean((nodes.eps ** torch.tensor(degrees)).prod(-1))
            assert found.item() == pytest.approx(math.prod(map(moment, degrees)), abs=1e-9)


def test_orthogonal_nodes_have_no_bias_and_their_error_is_not_understated():
    generator = torch.Generator().manual_seed(0)

    def check(nodes_of):
        means, errors = [], []
        for _ in range(REPEATS):
            nodes = nodes_of()
            x, y = nodes.eps[:, 0], nodes.eps[:, 1]
            values = torch.stack([x**4, x**2 * y**2, (x - y + 1).cos(), x**2], -1)
            means.append(nodes.mean(values))
            errors.append(nodes.standard_error(values))
        spread = torch.stack(means).std(0)
        # E[cos(a x + b y + c)] = cos(c) exp(−½ (a² + b²))
        truth = torch.tensor([3.0, 1.0, math.cos(1) * math.exp(-1), 1.0]).double()
        error = torch.stack(means).mean(0) - truth
        assert (error.abs() < 4.5 * spread / math.sqrt(REPEATS) + 1e-9).all()
        assert (torch.stack(errors).square().mean(0) > 0.9 * spread.square()).all()

    check(lambda: spherical_radial(12, 6, LIKE, generator))

    def of_fixed_radius():
        half = math.sqrt(6) * torch.linalg.qr(torch.randn(6, 6, generator=generator).double()).Q
        return ExpectationNodes(
            torch.cat([half, -half]), torch.full((12,), 1 / 12).double(), exact=False
        )

    assert_rejected(lambda: check(of_fixed_radius))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nodes_have_the_type_of_what_they_are_for(dtype):
    like = torch.zeros(1, dtype=dtype)
    generator = torch.Generator()
    random = antithetic(4, 2, like, generator), spherical_radial(4, 3, like, generator)
    for nodes in (gauss_hermite(3, 2, like), *random):
        assert nodes.eps.dtype == nodes.weights.dtype == dtype
