import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from elboroom.config import ObjectiveConfig
from elboroom.errors import UsageError
from elboroom.model.bounds import iwae
from elboroom.model.posteriors import DiagonalGaussian
from elboroom.model.vae import VAE
from elboroom.training import objective
from elboroom.training.objective import bound
from tests.support.oracles import (
    Affine,
    LinearGaussian,
    UnitNoise,
    assert_mean,
    assert_rejected,
    random_masks,
)

ELBO = ObjectiveConfig()
SAMPLED = ObjectiveConfig("elbo-sampled")
IWAE = ObjectiveConfig("iwae", k=5)
RENYI = ObjectiveConfig("renyi", k=5, alpha=0.5)


@pytest.fixture
def problem():
    exact = LinearGaussian(pixels=4, latents=2, seed=10)
    x, mask = exact.data(5, seed=11), random_masks(5, 4, seed=12)
    with torch.no_grad():
        q = exact.model.posterior(x)
    return exact, x, mask, exact.elbo(x, mask, q.mean, q.log_std)


def generator():
    return torch.Generator().manual_seed(13)


def closed_form_draws(exact, x, mask, k=20_000):
    """k one-sample estimates: row b of draw k is an ELBO of x_b."""
    rows = x.repeat(k, 1), mask.repeat(k, 1)
    return bound(exact.model, *rows, config=ELBO, generator=generator()), k


def test_the_elbo_with_closed_form_kl_has_the_exact_mean(problem):
    exact, x, mask, expected = problem
    found, k = closed_form_draws(exact, x, mask)
    assert torch.equal(found.value, found.elbo)
    assert_mean(found.value.view(k, -1), expected)
    flipped = replace(found, kl=-found.kl)
    assert_rejected(lambda: assert_mean(flipped.elbo.view(k, -1), expected))


def test_k_samples_are_averaged(problem):
    exact, x, mask, expected = problem
    many = replace(ELBO, k=40_000)
    found = bound(exact.model, x, mask, config=many, generator=generator())
    draws, k = closed_form_draws(exact, x, mask)
    error = draws.value.view(k, -1).std(0) / math.sqrt(40_000)
    assert ((found.value - expected).abs() < 4.5 * error + 1e-12).all()


def test_a_renyi_bound_of_many_samples_is_its_integral():
    exact = LinearGaussian(pixels=3, latents=1, seed=4)
    x, alpha = exact.data(2, seed=5), 0.6
    axis = torch.linspace(-12, 12, 4_001).double()[:, None, None].expand(-1, 2, 1)
    q = exact.model.posterior(x)
    log_w = exact.model.log_joint(x, axis) - q.log_prob(axis)
    # 1/(1 − α) log ∫ q(z) w(z)^(1 − α) dz, by the trapezoidal rule
    log_terms = q.log_prob(axis) + (1 - alpha) * log_w + math.log(24 / 4_000)
    expected = torch.logsumexp(log_terms, 0) / (1 - alpha)
    config = ObjectiveConfig("renyi", k=400_000, alpha=alpha)
    found = bound(exact.model, x, config=config, generator=generator()).value
    torch.testing.assert_close(found, expected, atol=0.01, rtol=0)


@pytest.mark.parametrize("gradient", ["plain", "dreg"])
def test_the_value_is_the_reduction_of_the_weights_whatever_the_gradient(problem, gradient):
    exact, x, mask, _ = problem
    config = replace(IWAE, m=3, gradient=gradient)
    found = bound(exact.model, x, mask, config=config, generator=generator())
    log_weights = exact.model.log_weights(x, 15, mask, generator=generator()).unflatten(0, (5, 3))
    torch.testing.assert_close(found.value, iwae(log_weights).mean(0))
    torch.testing.assert_close(found.elbo, log_weights.mean((0, 1)))


def test_beta_and_its_warm_up_weigh_the_kl_alone(problem):
    exact, x, mask, _ = problem
    for config in (ELBO, SAMPLED):
        half = replace(config, beta=0.5)
        found = bound(exact.model, x, mask, config=half, kl_warmup=0.5, generator=generator())
        torch.testing.assert_close(found.value, found.reconstruction - 0.25 * found.kl)
        assert torch.equal(found.elbo, found.reconstruction - found.kl)


def test_what_is_missing_does_not_matter(problem):
    exact, x, mask, _ = problem
    for config in (ELBO, replace(SAMPLED, gradient="stl"), replace(IWAE, gradient="dreg")):
        options = {"config": config}
        clean = bound(exact.model, x, mask, generator=generator(), **options)
        torn = x.masked_fill(~mask, torch.nan)
        missing = bound(exact.model, torn, mask, generator=generator(), **options)
        assert torch.equal(clean.value, missing.value)
        missing.value.sum().backward()
        assert all(p.grad.isfinite().all() for p in exact.model.parameters())


def test_free_bits_hold_for_the_mean_over_the_batch(problem):
    exact, x, _, _ = problem
    q = DiagonalGaussian(torch.tensor([[0.1, 2.0], [0.3, 1.0]]), torch.zeros(2, 2))
    model = exact.model
    model.encoder = Leaves(q.mean.double(), q.log_std.double())
    free = bound(model, x[:2], config=replace(ELBO, free_bits=0.2), generator=generator())
    # KL_d = μ_d²/2: 0.025 in the mean of the first latent, 1.25 of the second
    torch.testing.assert_close(free.value, free.reconstruction - (0.2 + 1.25))
    torch.testing.assert_close(free.kl, q.kl_to_standard().double())


def test_free_bits_need_the_standard_prior(problem):
    exact, x, _, _ = problem
    prior = torch.distributions.Normal(torch.zeros(2).double(), 2 * torch.ones(2).double())
    model = VAE(exact.model.encoder, exact.model.decoder, 2, UnitNoise, prior)
    with pytest.raises(UsageError, match="found a DiagonalGaussian and a DistributionPrior"):
        bound(model, x, config=replace(ELBO, free_bits=0.2), generator=generator())


class Leaves(nn.Module):
    """An encoder whose outputs are its parameters, one of each row: so are then the gradients."""

    def __init__(self, mean, log_std):
        super().__init__()
        self.mean, self.log_std = nn.Parameter(mean), nn.Parameter(log_std)

    def forward(self, x):
        return self.mean, self.log_std


def gradients(config, *, q=None, rows=20_000, seed=13):
    """Of one x in `rows` draws: by q's mean and log std, and by the decoder's bias, (rows, ...)."""
    exact = LinearGaussian(pixels=4, latents=2, seed=10, orthogonal=True)
    x, mask = exact.data(1, seed=11), torch.tensor([[True, True, True, False]])
    if q is None:
        q = exact.model.posterior(x)
        q = q.mean.detach(), q.log_std.detach()
    encoder = Leaves(*(p.detach().repeat(rows, 1) for p in q))
    decoder = Affine(exact.weight, exact.bias.repeat(rows, 1))
    model = VAE(exact.model.encoder, exact.model.decoder, 2, UnitNoise)
    model.encoder, model.decoder = encoder, decoder  # of these rows alone, so that no check fits
    noise = torch.Generator().manual_seed(seed)
    data = x.repeat(rows, 1), mask.repeat(rows, 1)
    bound(model, *data, config=config, generator=noise).value.sum().backward()
    return torch.cat([encoder.mean.grad, encoder.log_std.grad, decoder.bias.grad], -1)


def assert_same_mean(first, second):
    error = (first.var(0) / len(first) + second.var(0) / len(second)).sqrt() + 1e-12
    assert ((first.mean(0) - second.mean(0)).abs() < 4.5 * error).all()


BOUNDS = {
    "iwae": IWAE,
    "miwae": replace(IWAE, m=2),
    "renyi": RENYI,
    "beta": replace(IWAE, beta=0.5),
}


@pytest.mark.parametrize("config", BOUNDS.values(), ids=BOUNDS)
def test_doubly_reparameterised_gradients_have_the_plain_mean(config, monkeypatch):
    plain = gradients(config)

    def check():
        assert_same_mean(plain, gradients(replace(config, gradient="dreg"), seed=14))

    check()
    monkeypatch.setattr(objective, "_share_of_path", lambda w, *_: torch.ones_like(w))
    assert_rejected(check)  # sticking the landing is biased where samples are weighted


def test_sticking_the_landing_has_the_gradient_of_the_exact_elbo():
    exact = LinearGaussian(pixels=4, latents=2, seed=10, orthogonal=True)
    x, mask = exact.data(1, seed=11), torch.tensor([[True, True, True, False]])
    mean, log_std = (p.detach().requires_grad_() for p in exact.model.encoder(x))
    expected = torch.autograd.grad(exact.elbo(x, mask, mean, log_std).sum(), (mean, log_std))
    expected = torch.cat(expected, -1)[0]
    for config in (ELBO, SAMPLED, replace(SAMPLED, gradient="stl")):
        assert_mean(gradients(config)[:, :4], expected)
    wrong = gradients(replace(SAMPLED, beta=0.9, gradient="stl"))[:, :4]
    assert_rejected(lambda: assert_mean(wrong, expected))


def test_sticking_the_landing_has_no_noise_where_q_is_the_posterior():
    exact = LinearGaussian(pixels=4, latents=2, seed=10, orthogonal=True)
    x = exact.data(1, seed=11)
    mean, precision = exact.posterior(x, torch.ones_like(x).bool())
    q = mean, -0.5 * precision.diagonal(dim1=-1, dim2=-2).log()

    def spread(gradient):
        encoder = Leaves(*(p.repeat(50, 1) for p in q))
        model = VAE(exact.model.encoder, Affine(exact.weight, exact.bias), 2, UnitNoise)
        model.encoder = encoder
        config = replace(SAMPLED, gradient=gradient)
        bound(model, x.repeat(50, 1), config=config, generator=generator()).value.sum().backward()
        return encoder.mean.grad.abs().max(), encoder.log_std.grad.abs().max()

    assert max(spread("stl")) < 1e-12
    assert min(spread("plain")) > 0.1


def test_with_more_samples_dreg_gets_clearer_where_the_plain_gradient_drowns():
    """Rainforth et al. (2018): the signal-to-noise ratio of the encoder falls as 1/√K."""

    exact = LinearGaussian(pixels=4, latents=2, seed=10, orthogonal=True)
    mask = torch.tensor([[True, True, True, False]])
    mean, precision = exact.posterior(exact.data(1, seed=11), mask)
    near = mean + 0.3, -0.5 * precision.diagonal(dim1=-1, dim2=-2).log() + 0.2

    def clarity(gradient, k):
        config = ObjectiveConfig("iwae", k=k, gradient=gradient)
        found = gradients(config, q=near, rows=8_000)[:, :2]
        return found.mean(0).abs() / found.std(0)

    assert (clarity("dreg", 64) > 2 * clarity("dreg", 4)).all()
    assert (clarity("plain", 64) < 0.8 * clarity("plain", 4)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "elbow"}, "objective must be in"),
        ({"k": 0}, "k must be 1 or more"),
        ({"m": 2}, "raise --k"),
        ({"beta": -1.0}, "beta must be 0 or more"),
        ({"objective": "iwae", "free_bits": 0.1}, "0 except with elbo"),
        ({"objective": "renyi"}, "given with renyi"),
        ({"objective": "iwae", "alpha": 0.5}, "given with renyi, and only with renyi"),
        ({"objective": "iwae", "gradient": "stl"}, "dreg with iwae"),
        ({"objective": "elbo", "gradient": "stl"}, "stl with elbo-sampled"),
        ({"objective": "elbo-sampled", "gradient": "dreg"}, "stl with elbo-sampled"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        ObjectiveConfig(**options)
