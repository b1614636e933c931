"""Every method of inference on a ladder of two scalar latents, against its exact posterior."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from elboroom.evaluation.bidirectional import certify
from elboroom.evaluation.calibration import sbc_ranks, uniformity
from elboroom.infer import ais, encoder, grid, hmc, laplace, sir, svi
from elboroom.infer.gibbs import metropolis_within_gibbs
from elboroom.infer.grid import GridPosterior
from elboroom.infer.posterior import Posterior, VariationalPosterior
from elboroom.model.vae import VAE
from tests.support.ladder_cases import generator, numbers, two_scalars
from tests.support.oracles import assert_mean, assert_rejected, random_masks

# How many of five pixels are seen.
MASKS = [pytest.param(n, marks=[pytest.mark.full] * (n != 3)) for n in (0, 3, 5)]


@pytest.fixture(scope="module")
def model() -> VAE:
    return two_scalars()


@pytest.fixture(scope="module")
def given() -> tuple[Tensor, Tensor]:
    return (numbers(3, 5, seed=7) > 0).double(), random_masks(3, 5, seed=3)


@pytest.fixture(scope="module")
def exact(model: VAE, given: tuple[Tensor, Tensor]) -> GridPosterior:
    return grid(model, *given, generator=generator())


@pytest.mark.parametrize(
    "method",
    [
        encoder,
        laplace,
        *(partial(svi, family=name) for name in ("diagonal", "full", "mixture")),
        partial(svi, family="low-rank", rank=1),
    ],
)
def test_weights_of_a_fit_have_the_evidence_as_their_mean(
    method: Callable[..., VariationalPosterior], model: VAE, given, exact: GridPosterior
):
    """E_q[p(x_seen, z) / q(z)] = p(x_seen), and the ELBO is below its logarithm."""
    fit = method(model, *given, generator=generator(1))
    log_w = fit.log_weights(10_000)

    def check(evidence: Tensor) -> None:
        assert_mean((log_w - evidence).exp(), 1.0)

    check(exact.log_evidence)
    assert_rejected(lambda: check(exact.log_evidence + 0.3))
    assert (log_w.mean(0) < exact.log_evidence + 1e-2).all()


def assert_moments(exact: GridPosterior, posterior: Posterior) -> None:
    """Check the means to five standard errors, by the effective number of draws."""
    spread = exact.covariance.diagonal(dim1=-1, dim2=-2).sqrt()
    error = spread / posterior.diagnostics["ess"][:, None].sqrt()
    assert ((posterior.mean - exact.mean) / error).abs().max() < 5


def test_particles_have_the_moments_of_the_posterior(model, given, exact):
    (x, mask), particles = given, 4_000
    assert_moments(exact, sir(model, x, mask, generator=generator(1), particles=particles))
    wrong = sir(model, 1 - x, mask, generator=generator(1), particles=particles)
    assert_rejected(lambda: assert_moments(exact, wrong))


@pytest.mark.full
@pytest.mark.parametrize("method", [partial(metropolis_within_gibbs, sweeps=2_000), hmc])
def test_chains_have_the_moments_of_the_posterior(method, model, given, exact):
    assert_moments(exact, method(model, *given, generator=generator(2)))


def test_annealed_weights_have_the_evidence_as_their_mean(model, given, exact):
    options = {"distributions": 4, "chains": 1_000}
    found = ais(model, *given, generator=generator(4), **options)

    def check(evidence: Tensor) -> None:
        assert_mean((found.log_weights - evidence).exp(), 1.0)

    check(exact.log_evidence)
    assert_rejected(lambda: check(exact.log_evidence + 0.3))


@pytest.mark.parametrize("seen", MASKS)
def test_bidirectional_bounds_bracket_the_grid(model: VAE, seen: int):
    mask = torch.arange(5) < seen
    counts = {"rows": 200, "distributions": 4, "chains": 1}
    found = certify(model, generator=generator(), mask=mask, **counts)
    truth = grid(model, found.x, mask, generator=generator()).log_evidence

    def check(truth: Tensor) -> None:
        assert_mean((found.lower - truth).exp(), 1.0)
        assert_mean((truth - found.upper).exp(), 1.0)

    check(truth)
    if seen:
        assert_rejected(lambda: check(truth + 0.2))


@pytest.mark.parametrize("seen", MASKS)
def test_the_grid_of_a_ladder_is_calibrated(model: VAE, seen: int):
    """The latents that rows are drawn with are draws of the posterior that is integrated."""
    mask, draws = torch.arange(5) < seen, 39

    def ranked(method: Callable[..., Posterior]) -> Tensor:
        noise = {"rows": 600, "draws": draws, "generator": generator(5), "mask": mask}
        return uniformity(sbc_ranks(model, method, **noise), draws)

    found = ranked(lambda model, x, seen: grid(model, x, seen, generator=generator(6)))
    assert found.min() > 1e-3
    if seen:
        wrong = ranked(lambda model, x, seen: grid(model, 1 - x, seen, generator=generator(6)))
        assert wrong.min() < 1e-6
