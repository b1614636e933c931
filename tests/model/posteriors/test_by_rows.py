import pytest
import torch

from elboroom.model.posteriors import (
    AmortisedFlow,
    CholeskyGaussian,
    Density,
    DiagonalGaussian,
    RowsOfDensities,
)
from elboroom.model.posteriors.flow import FlowFamily

ROWS, LATENTS = 5, 2
OWN = torch.tensor([0, 3]), torch.tensor([1, 2, 4])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=generator(sum(shape)), dtype=torch.float64)


@pytest.fixture(scope="module")
def first() -> DiagonalGaussian:
    return DiagonalGaussian(normal(2, LATENTS), normal(2, LATENTS))


@pytest.fixture(scope="module")
def second() -> CholeskyGaussian:
    return CholeskyGaussian(normal(3, LATENTS), normal(3, LATENTS), normal(3, 1))


@pytest.fixture(scope="module")
def both(first: Density, second: Density) -> Density:
    return RowsOfDensities.of([(OWN[0], first), (OWN[1], second)])


@pytest.mark.parametrize("name", ["mean", "covariance"])
def test_each_row_has_the_moments_of_its_density(
    both: Density, first: Density, second: Density, name: str
):
    for rows, q in zip(OWN, (first, second), strict=True):
        assert torch.equal(getattr(both, name)[rows], getattr(q, name))


def test_each_row_has_the_density_of_its_own(both: Density, first: Density, second: Density):
    z = normal(7, 3, ROWS, LATENTS)
    found, eps = both.log_prob(z), both.at(z)
    assert found.shape == (7, 3, ROWS)
    for rows, q in zip(OWN, (first, second), strict=True):
        assert torch.equal(found[..., rows], q.log_prob(z[..., rows, :]))
        assert torch.equal(eps[..., rows, :], q.at(z[..., rows, :]))
    wide, kl = both.widened(2.0), both.kl_to_standard()
    assert wide is not None
    assert kl is not None
    assert torch.equal(kl[OWN[1]], second.kl_to_standard())
    torch.testing.assert_close(wide.covariance, 4 * both.covariance)


def test_draws_have_the_log_prob_that_comes_with_them(both: Density):
    z, log_q = both.draw(50, generator())
    assert z.shape == (50, ROWS, LATENTS)
    torch.testing.assert_close(log_q, both.log_prob(z))
    assert torch.equal(both.sample(50, generator()), z)


def test_what_one_density_does_not_know_is_unknown(first: Density):
    family = FlowFamily(LATENTS, generator()).double()
    flow = family(normal(3, LATENTS), normal(3, LATENTS), torch.zeros(3, 32).double())
    assert isinstance(flow, AmortisedFlow)
    both = RowsOfDensities.of([(OWN[0], first), (OWN[1], flow)])
    assert both.widened(2.0) is None
    assert both.kl_to_standard() is None
    assert both.marginals is None
    assert both.mean.shape == (ROWS, LATENTS)


def test_a_density_of_all_rows_stays_itself(first: Density):
    assert RowsOfDensities.of([(torch.arange(2), first)]) is first
