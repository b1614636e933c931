"""Objectives under priors that have no closed-form KL, against numerical integrals."""

import math

import pytest
import torch
from torch import nn

from elboroom.config import ObjectiveConfig
from elboroom.model.vae import VAE
from elboroom.training.objective import bound
from tests.support.oracles import Affine, UnitNoise, assert_mean, assert_rejected
from tests.support.prior_cases import flow, mixture, noise, vamp_of

BETA, WARMTH = 0.6, 0.5


class Line(nn.Module):
    """x → mean and log standard deviation of one latent, each (B, 1), by a linear map."""

    def __init__(self, pixels: int):
        super().__init__()
        weight = 0.3 * torch.randn(2, pixels, generator=noise(2), dtype=torch.float64)
        self.linear = Affine(weight, torch.tensor([0.3, -0.5], dtype=torch.float64))

    def forward(self, x):
        mean, log_std = self.linear(x.flatten(1)).chunk(2, -1)
        return mean, log_std


def model(name: str) -> VAE:
    encoder = Line(4)
    priors = {
        "mixture": lambda: mixture(components=3, latents=1),
        "vamp": lambda: vamp_of(encoder, components=3, pixels=4),
        "flow": lambda: flow(latents=1).requires_grad_(True),
    }
    weight = torch.randn(4, 1, generator=noise(3), dtype=torch.float64)
    decoder = Affine(weight, torch.zeros(4, dtype=torch.float64))
    return VAE(encoder, decoder, 1, UnitNoise, priors[name]())


def data():
    return torch.randn(2, 4, generator=noise(4), dtype=torch.float64)


def exact(model, x, beta):
    """E_q[log p(x | z)] − β KL(q ‖ p) by the trapezoidal rule, (B,)."""
    q = model.posterior(x)
    eps = torch.linspace(-9, 9, 1_201, dtype=torch.float64)[:, None, None]
    z, log_mass = q.mean + q.log_std.exp() * eps, -0.5 * (eps**2 + math.log(2 * math.pi))
    value = model.decode(z).log_prob(x)
    value = value + beta * (model.prior(len(x)).log_prob(z) - q.log_prob(z))
    return torch.trapezoid(log_mass[:, 0].exp() * value, eps[:, 0], dim=0)


def gradient(model, value):
    found = torch.autograd.grad(value.sum(), list(model.parameters()))
    return torch.cat([part.flatten() for part in found])


@pytest.mark.parametrize("name", ["mixture", "vamp", "flow"])
@pytest.mark.parametrize(
    "config",
    [
        ObjectiveConfig(k=40, beta=BETA),
        ObjectiveConfig("elbo-sampled", k=40, beta=BETA),
        ObjectiveConfig("elbo-sampled", k=40, gradient="stl", beta=BETA),
    ],
    ids=["elbo", "sampled", "stl"],
)
def test_the_sampled_elbo_has_the_value_and_the_gradient_of_its_integral(name, config):
    vae, x, generator = model(name), data(), noise(5)
    values, gradients = [], []
    for _ in range(60):
        found = bound(vae, x, config=config, kl_warmup=WARMTH, generator=generator)
        values.append(found.value.detach())
        gradients.append(gradient(vae, found.value))
    integral = exact(vae, x, BETA * WARMTH)
    expected = gradient(vae, integral)
    assert_mean(torch.stack(values), integral.detach())
    assert_mean(torch.stack(gradients), expected)
    assert_rejected(lambda: assert_mean(torch.stack(gradients), gradient(vae, exact(vae, x, BETA))))


@pytest.mark.parametrize("name", ["mixture", "vamp", "flow"])
def test_dreg_has_the_mean_of_the_plain_gradient(name):
    vae, x, found = model(name), data(), {}
    for estimator in ("plain", "dreg"):
        config, generator = ObjectiveConfig("iwae", k=4, m=50, gradient=estimator), noise(6)
        found[estimator] = torch.stack(
            [
                gradient(vae, bound(vae, x, config=config, generator=generator).value)
                for _ in range(60)
            ]
        )
    difference = found["dreg"] - found["plain"]
    assert_mean(difference, 0.0)
    shifted = difference + 0.1 * found["plain"]
    assert_rejected(lambda: assert_mean(shifted, 0.0))


@pytest.mark.parametrize("name", ["mixture", "vamp", "flow"])
def test_the_terms_of_the_elbo_do_not_depend_on_beta(name):
    vae, x = model(name), data()
    cold, warm = (
        bound(vae, x, config=ObjectiveConfig(k=9), kl_warmup=kl_warmup, generator=noise(7))
        for kl_warmup in (0.0, 1.0)
    )
    torch.testing.assert_close(cold.kl, warm.kl)
    torch.testing.assert_close(cold.value, cold.reconstruction)
    torch.testing.assert_close(warm.value, warm.elbo)
