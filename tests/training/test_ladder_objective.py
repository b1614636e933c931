"""Objectives of a ladder: every gradient has the same mean, and free bits are of levels."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from elboroom.config import ObjectiveConfig
from elboroom.model.posteriors import LadderPosterior, ladder
from elboroom.model.vae import VAE
from elboroom.training.objective import bound
from tests.support.ladder_cases import generator, numbers
from tests.support.ladder_cases import ladder as small_ladder
from tests.support.oracles import assert_mean, assert_rejected

ELBO = ObjectiveConfig(k=200)
SAMPLED = ObjectiveConfig("elbo-sampled", k=200)
STL = replace(SAMPLED, gradient="stl")
IWAE = ObjectiveConfig("iwae", k=3, m=100)
DREG = replace(IWAE, gradient="dreg")


@pytest.fixture(scope="module")
def model() -> VAE:
    found = small_ladder((4,), spread=0.5, channels=(4,), levels=(2,))
    return found.requires_grad_(True)


@pytest.fixture(scope="module")
def x() -> Tensor:
    return (numbers(2, 4, seed=6) > 0).double()


def gradients(model: VAE, x: Tensor, config: ObjectiveConfig, repeats: int = 25) -> Tensor:
    """The gradient by all parameters from some batches of draws, always the same, (N, P)."""
    found, noise = list[Tensor](), generator(1)
    for _ in range(repeats):
        loss = bound(model, x, config=config, generator=noise).value.sum()
        parts = torch.autograd.grad(loss, list(model.parameters()), materialize_grads=True)
        found.append(torch.cat([part.flatten() for part in parts]))
    return torch.stack(found)


def assert_same_mean(found: Tensor, other: Tensor) -> None:
    """Check two samples of gradients from the same draws, in some directions."""
    directions = numbers(found.shape[1], 12, seed=11) / found.shape[1] ** 0.5
    assert_mean((found - other) @ directions, 0.0)


@pytest.mark.parametrize("pair", [(ELBO, SAMPLED), (SAMPLED, STL), (IWAE, DREG)], ids=str)
def test_estimators_of_a_gradient_have_the_same_mean(
    model: VAE, x: Tensor, pair: tuple[ObjectiveConfig, ObjectiveConfig]
):
    one, other = (gradients(model, x, config) for config in pair)
    assert_same_mean(one, other)
    assert_rejected(lambda: assert_same_mean(one, 1.2 * other))


@pytest.mark.full
def test_a_posterior_that_is_cut_off_from_the_noise_above_is_wrong(
    model: VAE, x: Tensor, monkeypatch: pytest.MonkeyPatch
):
    """Constant means and deviations, as `dreg` takes them of a single level, change its mean."""
    right, step = gradients(model, x, DREG, repeats=150), ladder._Step.of

    def cut(mean: Tensor, std: Tensor, given: Tensor, *, is_noise: bool) -> ladder._Step:
        if not is_noise:
            mean, std = mean.detach(), std.detach()
        return step(mean, std, given, is_noise=is_noise)

    monkeypatch.setattr(ladder._Step, "of", cut)
    assert_rejected(lambda: assert_same_mean(right, gradients(model, x, DREG, repeats=150)))


def test_free_bits_are_of_levels(model: VAE, x: Tensor):
    """The penalty is Σ_l max(λ, E_b[KL_l])."""
    q = model.posterior(x)
    assert isinstance(q, LadderPosterior)
    kl = q.descend(200, generator(3)).kl.mean((1, 2)).detach()
    free = kl.sort().values[1].item()  # one level is below it
    config = replace(ELBO, free_bits=free)
    found = bound(model, x, config=config, generator=generator(3))
    penalty = (found.reconstruction - found.value).mean()
    torch.testing.assert_close(penalty, kl.clamp(min=free).sum())
    assert penalty > kl.sum()
    torch.testing.assert_close(found.kl.mean(), kl.sum())


def test_doubly_reparameterised_gradients_weigh_all_that_depends_on_the_noise(
    model: VAE, x: Tensor
):
    """Those of the encoder are Σ_k v_k² ∂ log w_k/∂z_k ∂z_k/∂φ, also through the likelihood."""
    parameters, q = list(model.encoder.parameters()), model.posterior(x)
    assert isinstance(q, LadderPosterior)
    z = q.descend(3, generator(1)).z
    leaf = z.detach().requires_grad_()
    log_w = model.log_joint(x, leaf) - q.detached().log_prob(leaf)
    v = log_w.detach().softmax(0)
    by_noise = torch.autograd.grad((v.square() * log_w).sum(), leaf)
    expected = torch.autograd.grad(z, parameters, by_noise)
    value = bound(model, x, config=replace(DREG, m=1), generator=generator(1)).value
    torch.testing.assert_close(torch.autograd.grad(value.sum(), parameters), expected)
