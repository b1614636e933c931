"""Ladder networks: any size, whitened levels, and two oracles: a linear ladder, and the grid."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from elboroom.config import ModelConfig
from elboroom.errors import UsageError
from elboroom.infer import laplace
from elboroom.model.networks import NETWORK_KINDS, LadderDecoder
from elboroom.model.networks.ladder import layers
from elboroom.model.networks.ladder.layers import limited
from elboroom.model.vae import VAE, least_weights
from tests.support.ladder_cases import SMALL, generator, ladder, linear, numbers
from tests.support.oracles import assert_rejected, random_masks

EVENTS = {
    (1, 12, 12): {"channels": (6, 6), "level_channels": (1, 2)},
    (3, 13, 17): {"channels": (4, 4, 4), "level_channels": (1, 2, 3)},
    (2, 1, 1): {"channels": (4,)},
    (1, 1, 40): {"channels": (4, 4), "level_channels": (1, 2), "levels": (0, 2)},
    (7,): {},
}
ANY_EVENT = pytest.mark.parametrize("event", EVENTS, ids=str)


@ANY_EVENT
def test_a_descent_is_the_decoder_and_the_density(event: tuple[int, ...]):
    """The same noise drawn, scored and decoded apart gives the same numbers."""
    model = ladder(event, spread=0.1, **EVENTS[event])
    x = (numbers(3, *event) > 0).double()
    q = model.posterior(x)
    found = q.descend(4, generator(1))
    assert found.z.shape == (4, 3, model.latents)
    torch.testing.assert_close(q.log_prob(found.z), found.log_q.sum(0))
    torch.testing.assert_close(model.decoder_output(found.z), found.parameter)
    torch.testing.assert_close(q.draw(4, generator(1))[0], found.z)
    noise = torch.randn(4, 3, model.latents, generator=generator(1), dtype=torch.float64)
    torch.testing.assert_close(q.at(noise), found.z)


def test_values_within_a_limit_stay_and_beyond_it_they_stay_below_twice_the_limit():
    x = torch.tensor([0.0, 9.5, -10, 10, 20, -40, 1e30, -torch.inf], requires_grad=True)
    found = limited(x, 10.0)
    assert found.tolist() == [0, 9.5, -10, 10, 15, -17.5, 20, -20]
    (slope,) = torch.autograd.grad(found.sum(), x)
    assert slope.tolist() == pytest.approx([1, 1, 1, 1, 0.25, 1 / 16, 0, 0])
    near = torch.linspace(9.9, 10.1, 5).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: limited(x, 10.0), near)


def test_a_draw_that_grows_at_every_level_stays_finite(monkeypatch: pytest.MonkeyPatch):
    """As a state does where what a level computes of it is many times as large."""
    options = {"levels": (6, 6), "channels": (8, 8), "level_channels": (2, 2)}

    def check(limit: Callable[[Tensor, float], Tensor]) -> None:
        monkeypatch.setattr(layers, "limited", limit)
        model = ladder((1, 12, 12), **options).float().requires_grad_()
        with torch.no_grad():
            for level, head in zip(model.decoder.levels, model.encoder.heads, strict=True):
                level.prior[-1].weight.mul_(100)
                head.joint[-1].weight.mul_(100)
        x = (numbers(3, 1, 12, 12) > 0).float()
        log_weights = model.log_weights(x, 5, generator=generator(1))
        log_weights.mean().backward()
        first, *rest = numbers(3, model.latents).float().split(model.decoder.sizes, -1)
        state = model.decoder.top(first)
        for level, eps in zip(model.decoder.levels, rest, strict=True):
            state = level(state, eps)
            assert state.abs().max() <= 200
        found = [log_weights, *(p.grad for p in model.parameters() if p.grad is not None)]
        assert all(values.isfinite().all() for values in found)

    check(limited)
    assert_rejected(lambda: check(lambda x, limit: x))
    assert_rejected(lambda: check(lambda x, limit: x if limit == 100 else limited(x, limit)))


@ANY_EVENT
def test_rows_do_not_mix_and_their_number_does_not_matter(event: tuple[int, ...]):
    model = ladder(event, spread=0.1, **EVENTS[event])
    x, z = (numbers(3, *event) > 0).double(), numbers(2, 3, model.latents)
    alone = torch.cat([model.posterior(x[[i]]).log_prob(z[:, [i]]) for i in range(3)], 1)
    torch.testing.assert_close(model.posterior(x).log_prob(z), alone)
    assert model.decoder_output(z).shape == (2, 3, *event)


def test_the_noise_of_a_ladder_starts_at_its_prior():
    """Before training q(ε | x) = N(0, I), and z = ε: the last layers are zero."""
    model = VAE.from_config(
        replace(SMALL, channels=(8, 8), level_channels=(1, 2)), (1, 9, 9), generator=generator()
    )
    q = model.posterior((torch.rand(5, 1, 9, 9, generator=generator()) > 0.5).float())
    assert (q.descend(2, generator()).kl == 0).all()
    assert (q.mean == 0).all()


def test_sizes_follow_from_the_picture():
    """32 top latents, and two levels at 7 × 7 and one at 14 × 14 of 392 latents each."""
    config = ModelConfig(network="ladder", latents=32, hidden=())
    model = VAE.from_config(config, (1, 28, 28), generator=generator())
    assert model.decoder.sizes == (32, 392, 392, 392)
    assert model.latents == 1_208 == NETWORK_KINDS["ladder"].latents(config, (1, 28, 28))
    weights = sum(p.numel() for p in model.parameters())
    assert 0.5 * weights < least_weights(config, (1, 28, 28)) < weights


@pytest.mark.parametrize(
    ("changes", "event", "message"),
    [
        ({"levels": (1, 1, 1)}, (1, 28, 28), "--levels has 3 numbers; expected 1"),
        ({"levels": (0,)}, (1, 28, 28), "no level below the top"),
        ({"blocks": (1, 2)}, (5,), "--blocks has 2 numbers; expected 1"),
        ({"channels": (8, 8)}, (5,), "the data are vectors"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes: dict, event: tuple[int, ...], message: str):
    with pytest.raises(UsageError, match=message):
        VAE.from_config(replace(SMALL, **changes), event, generator=generator())


@pytest.mark.parametrize(
    "changes",
    [
        {"network": "mlp", "levels": (1,)},
        {"network": "conv", "blocks": (1,)},
        {"network": "ladder", "level_channels": (0,)},
        {"network": "ladder", "posterior": "full"},
        {"network": "ladder", "prior": "vamp"},
    ],
)
def test_options_of_other_networks_are_refused(changes: dict):
    with pytest.raises(UsageError):
        ModelConfig(**changes)


def test_a_linear_ladder_is_a_linear_gaussian_model():
    """x ~ N(b, W Wᵀ + I), whose posterior and evidence Laplace finds under any mask."""
    model = linear()
    assert isinstance(model.decoder, LadderDecoder)
    assert model.latents == 4
    output, jacobian = model.decoder_jacobian(torch.zeros(1, 4, dtype=torch.float64))
    bias, weight = output[0], jacobian[:, 0].T
    x, mask = numbers(4, 6, seed=5), random_masks(4, 6, seed=3) | (torch.arange(6) == 0)
    posterior = laplace(model, x, mask, generator=generator())

    def check(weight: torch.Tensor) -> None:
        for row, seen in enumerate(mask):
            w, residual = weight[seen], (x[row] - bias)[seen]
            precision = torch.eye(4, dtype=w.dtype) + w.T @ w
            mean = torch.linalg.solve(precision, w.T @ residual)
            near = {"rtol": 1e-4, "atol": 1e-5}
            torch.testing.assert_close(posterior.mean[row], mean, **near)
            torch.testing.assert_close(posterior.q.covariance[row], precision.inverse(), **near)
            marginal = MultivariateNormal(bias[seen], w @ w.T + torch.eye(len(w), dtype=w.dtype))
            torch.testing.assert_close(posterior.elbo[row], marginal.log_prob(x[row][seen]), **near)

    check(weight)
    assert_rejected(lambda: check(weight.flip(1)))
