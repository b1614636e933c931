"""The No-U-Turn sampler of NumPyro as an oracle: other code, the same posterior."""

import numpy as np
import pytest
import torch

from elboroom.config import ModelConfig
from elboroom.infer.diagnostics import chain_ess, split_rhat
from elboroom.infer.hmc import hmc
from elboroom.model.vae import VAE
from tests.support.oracles import assert_rejected

numpyro = pytest.importorskip("numpyro")
jax = pytest.importorskip("jax")

PIXELS = 16


def problem():
    """A decoder 2 → 8 → 16, and two images of which about half is seen."""
    g = torch.Generator().manual_seed(5)
    model = VAE.from_config(ModelConfig(2, (8,)), (PIXELS,), generator=g).double()
    for p in model.decoder.parameters():
        p.data *= 3
    x = (torch.rand(2, PIXELS, generator=g) < 0.5).double()
    mask = torch.rand(2, PIXELS, generator=g) < 0.6
    return model, x, mask


@pytest.fixture(scope="module")
def reference():
    """Draws of p(z | x_seen) of both images by NUTS, (T, C, B, D)."""
    numpyro.enable_x64()
    model, x, mask = problem()
    first, _, last = model.decoder.trunk
    parameters = first.weight, first.bias, last.weight, last.bias
    w1, b1, w2, b2, x, mask = (t.detach().numpy() for t in (*parameters, x, mask))

    def program():
        z = numpyro.sample("z", numpyro.distributions.Normal(np.zeros((2, 2)), 1).to_event(2))
        logits = jax.numpy.tanh(z @ w1.T + b1) @ w2.T + b2
        pixels = numpyro.distributions.Bernoulli(logits=logits).mask(mask)
        numpyro.sample("x", pixels, obs=x)

    sampler = numpyro.infer.MCMC(
        numpyro.infer.NUTS(program),
        num_warmup=250,
        num_samples=375,
        num_chains=16,
        chain_method="vectorized",
        progress_bar=False,
    )
    sampler.run(jax.random.PRNGKey(0))
    draws = np.asarray(sampler.get_samples(group_by_chain=True)["z"])
    return torch.from_numpy(draws.copy()).transpose(0, 1)


@pytest.mark.full
def test_means_and_variances_are_those_of_nuts(reference):
    model, x, mask = problem()
    g = torch.Generator().manual_seed(0)
    found = hmc(model, x, mask, generator=g, chains=16, warmup=100, draws=375)
    assert found.converged.all()
    assert (split_rhat(reference) < 1.01).all()
    centre = reference.mean((0, 1))

    def moments(draws):
        return torch.cat([draws - centre, (draws - centre).square()], -1)

    def squared_error(values):
        return values.var((0, 1)) / chain_ess(values)

    def check(draws):
        ours, theirs = moments(draws), moments(reference)
        error = (squared_error(ours) + squared_error(theirs)).sqrt()
        assert ((ours.mean((0, 1)) - theirs.mean((0, 1))).abs() < 4.5 * error).all()

    check(found.draws)
    assert_rejected(lambda: check(found.draws + 0.1))
    assert_rejected(lambda: check(centre + 0.9 * (found.draws - centre)))
    assert_rejected(lambda: check(found.draws.flip(2)))
