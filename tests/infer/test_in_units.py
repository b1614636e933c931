"""Every method of inference on a linear-Gaussian model whose data are in odd units.

x = location + scale · (W z + b + σ ε), so that evidence and posterior have a closed form. The
values are those of a vector, or the columns of a table.
"""

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from elboroom import infer
from elboroom.data.statistics import Statistics
from elboroom.model.likelihoods import (
    FixedNoise,
    GaussianPixels,
    ObservationModel,
    TableModel,
    Units,
)
from elboroom.model.vae import VAE
from tests.support.fit_cases import generator
from tests.support.oracles import Affine, Constant, assert_mean, assert_rejected, random_masks

PIXELS, LATENTS, ROWS = 6, 2, 4
LOCATION = torch.tensor([1e4, -3.0, 0.0, 5e9, 2e-17, 0.1], dtype=torch.float64)
SCALE = torch.tensor([1.0, 0.01, 1e3, 2e8, 3e-17, 1e-9], dtype=torch.float64)
NOISE = torch.tensor([0.5, 0.8, 1.0, 0.6, 0.7, 0.9], dtype=torch.float64)
WEIGHT = torch.randn(PIXELS, LATENTS, generator=generator(3), dtype=torch.float64)
BIAS = 0.3 * torch.randn(PIXELS, generator=generator(4), dtype=torch.float64)


each_kind = pytest.mark.parametrize("kind", ["vector", "table"])


def in_units() -> ObservationModel:
    units = Units((PIXELS,)).double()
    units.measure(Statistics(LOCATION, SCALE, torch.ones(PIXELS)))
    return ObservationModel(GaussianPixels, FixedNoise(NOISE.clone()), units)


def in_columns() -> ObservationModel:
    table = TableModel(("gaussian",) * PIXELS).double()
    table.measure(Statistics(LOCATION, SCALE, torch.ones(PIXELS)))
    table.noise = FixedNoise(NOISE.clone())
    return table


def linear_model(kind: str = "vector") -> VAE:
    """The encoder's q does not depend on x, so the Gibbs chains move by the decoder alone."""
    likelihood = in_columns() if kind == "table" else in_units()
    encoder = Constant(torch.zeros(LATENTS).double(), torch.zeros(LATENTS).double())
    return VAE(encoder, Affine(WEIGHT, BIAS), LATENTS, likelihood)


def rows() -> tuple[Tensor, Tensor]:
    """Data in their own units, NaN where unseen, and the mask; the first row sees nothing."""
    x = linear_model().generate(ROWS, generator=generator(5))[1].detach()
    mask = random_masks(ROWS, PIXELS, 6)
    return x.masked_fill(~mask, torch.nan), mask


def log_evidence(x: Tensor, mask: Tensor) -> Tensor:
    found = torch.zeros(len(x), dtype=torch.float64)
    covariance = WEIGHT @ WEIGHT.T + torch.diag(NOISE.square())
    for i, (row, seen) in enumerate(zip(x, mask, strict=True)):
        if seen.any():
            y = ((row - LOCATION) / SCALE)[seen]
            p = MultivariateNormal(BIAS[seen], covariance[seen][:, seen])
            found[i] = p.log_prob(y) - SCALE[seen].log().sum()
    return found


def posterior(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    weight = mask[:, :, None] * WEIGHT / NOISE[:, None]
    residual = ((x - LOCATION) / SCALE - BIAS).masked_fill(~mask, 0) / NOISE
    precision = torch.eye(LATENTS).double() + weight.mT @ weight
    covariance = torch.linalg.inv(precision)
    return (covariance @ (weight.mT @ residual[..., None]))[..., 0], covariance


@each_kind
def test_the_grid_is_exact(kind: str):
    x, mask = rows()
    found = infer.grid(linear_model(kind), x, mask, generator=generator())
    torch.testing.assert_close(found.log_evidence, log_evidence(x, mask), atol=1e-3, rtol=1e-6)
    torch.testing.assert_close(found.mean, posterior(x, mask)[0], atol=1e-3, rtol=0)


@each_kind
@pytest.mark.parametrize("method", ["laplace", "svi-full"])
def test_gaussian_fits_are_the_posterior(method: str, kind: str):
    x, mask = rows()
    fit = infer.laplace if method == "laplace" else infer.svi
    options = {} if method == "laplace" else {"family": "full"}
    found = fit(linear_model(kind), x, mask, generator=generator(), **options)
    mean, covariance = posterior(x, mask)
    torch.testing.assert_close(found.mean, mean, atol=0.02, rtol=0)
    torch.testing.assert_close(found.q.covariance, covariance, atol=0.03, rtol=0)
    # Every weight of the exact posterior is the evidence.
    torch.testing.assert_close(found.elbo, log_evidence(x, mask), atol=0.02, rtol=0)


@each_kind
def test_weighted_draws_find_the_evidence(kind: str):
    x, mask = rows()
    expected = log_evidence(x, mask)
    model = linear_model(kind)
    annealed = infer.ais(model, x, mask, generator=generator(), distributions=20, chains=100)
    assert_mean((annealed.log_weights - expected).exp(), 1.0)
    assert_rejected(lambda: assert_mean((annealed.log_weights - expected + 0.2).exp(), 1.0))
    resampled = infer.sir(model, x, mask, particles=2_000, generator=generator())
    torch.testing.assert_close(resampled.log_evidence, expected, atol=0.2, rtol=0)
    weights = model.log_weights(x, 20_000, mask, generator=generator())
    assert_mean((weights - expected).exp(), 1.0)


def test_chains_find_the_posterior():
    x, mask = rows()
    mean = posterior(x, mask)[0]
    model = linear_model()
    chains = infer.hmc(model, x, mask, generator=generator(), chains=16, warmup=100, draws=100)
    assert_mean(chains.draws.mean(0), mean, errors=6)
    walk = infer.metropolis_within_gibbs(
        model, x, mask, generator=generator(), chains=64, sweeps=300, burn_in=100
    )
    assert_mean(walk.draws.mean(0), mean, errors=6)


@each_kind
def test_completions_and_their_scores_are_in_the_units_of_the_data(kind: str):
    x, mask = rows()
    model, whole = (
        linear_model(kind),
        linear_model().generate(ROWS, generator=generator(5))[1].detach(),
    )
    exact = infer.grid(model, x, mask, generator=generator())
    found = infer.complete(model, x, mask, exact, draws=2_000, generator=generator())
    mean, covariance = posterior(x, mask)
    expected = LOCATION + SCALE * (mean @ WEIGHT.T + BIAS)
    variance = torch.einsum("pd,bde,pe->bp", WEIGHT, covariance, WEIGHT) + NOISE.square()
    unseen = ~mask
    z = ((found.draws - expected) / (SCALE * variance.sqrt()))[:, unseen]
    assert_mean(z, 0.0)
    assert_mean(z.square(), 1.0)
    error = ((found.mean - expected) / (SCALE * variance.sqrt()))[unseen]
    assert error.abs().max() < 0.3
    assert torch.equal(found.mean[mask], x[mask])
    assert torch.isfinite(whole).all()
