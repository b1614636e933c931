from dataclasses import dataclass

import pytest
import torch

from elboroom.config import ModelConfig
from elboroom.errors import UsageError
from elboroom.infer import Posterior, complete, encoder, grid
from elboroom.infer.target import Target
from elboroom.model.vae import VAE
from tests.support.oracles import LinearGaussian, assert_mean, assert_rejected, random_masks


def generator(seed=1):
    return torch.Generator().manual_seed(seed)


def completed(draws):
    exact = LinearGaussian(pixels=4, latents=2, seed=40)
    x, mask = exact.data(5, seed=41), random_masks(5, 4, seed=42)
    posterior = grid(exact.model, x, mask, generator=generator())
    return (
        exact,
        x,
        mask,
        complete(exact.model, x, mask, posterior, draws=draws, generator=generator()),
    )


def test_seen_pixels_are_kept():
    _, x, mask, found = completed(3)
    assert found.mean.shape == x.shape
    assert found.draws.shape == (3, *x.shape)
    assert torch.equal(found.mean[mask], x[mask])
    assert torch.equal(found.draws[:, mask], x[mask].expand(3, -1))


def test_unseen_pixels_are_drawn_from_their_conditional_distribution():
    exact, x, mask, found = completed(30_000)
    mean, precision = exact.posterior(x, mask)
    expected = torch.where(mask, x, mean @ exact.weight.T + exact.bias)
    assert_mean(found.draws, expected)
    assert_rejected(lambda: assert_mean(found.draws, torch.where(mask, x, expected + 0.1)))
    spread = exact.weight @ torch.linalg.inv(precision) @ exact.weight.T
    variance = 1 + spread.diagonal(dim1=-1, dim2=-2)
    squares = (found.draws - expected).square()
    # the grid's draws are uniform within a cell
    spacing = grid(exact.model, x, mask, generator=generator()).cells.spacing
    cell = spacing[:, None].square() / 12 * exact.weight.square().sum(-1)
    upper = torch.where(mask, 0.0, variance + cell)
    lower = torch.where(mask, 0.0, variance)
    error = squares.std(0) / len(squares) ** 0.5
    assert (squares.mean(0) < upper + 4.5 * error + 1e-12).all()
    assert (squares.mean(0) > lower - 4.5 * error - 1e-12).all()
    averaged = spread.diagonal(dim1=-1, dim2=-2) / 256  # the mean averages over 256 draws of z
    assert ((found.mean - expected).abs() < 4.5 * averaged.sqrt() + 1e-12).all()


def bernoulli():
    event, g = (1, 3, 4), generator(43)
    model = VAE.from_config(ModelConfig(2, (12,)), event, generator=g)
    for p in model.decoder.parameters():
        p.data *= 3
    x = (torch.rand(6, *event, generator=g) < 0.4).float()
    mask = torch.rand(6, *event, generator=g) < 0.5
    mask[0], mask[-1] = False, True
    return model, x, mask


@dataclass(frozen=True)
class Draws(Posterior):
    """Draws that are given."""

    z: torch.Tensor
    mean = None
    diagnostics = None

    def sample(self, k):
        return self.z[:k]


def test_many_rows_are_completed_a_few_at_a_time():
    model, x, mask = bernoulli()
    x, mask = x.repeat(10, 1, 1, 1), mask.repeat(10, 1, 1, 1)
    z = torch.randn(256, len(x), 2, generator=generator())
    found = complete(
        model, x, mask, Draws(Target.of(model, x, mask), z), draws=100, generator=generator()
    )
    expected = model.decode(z).mean.mean(0)
    torch.testing.assert_close(found.mean, torch.where(mask, x, expected))
    assert not found.mean.requires_grad
    assert_mean(found.draws[:, ~mask], model.decode(z[:100]).mean.mean(0)[~mask])


def test_a_posterior_of_other_rows_is_refused():
    model, x, mask = bernoulli()
    posterior = grid(model, x[:3], mask[:3], generator=generator())
    with pytest.raises(UsageError, match="found 3 rows in the posterior; expected 6"):
        complete(model, x, mask, posterior, draws=1, generator=generator())


def test_a_posterior_of_another_mask_or_of_other_values_is_refused():
    model, x, mask = bernoulli()
    posterior = encoder(model, x, mask, generator=generator())
    options = {"draws": 1, "generator": generator()}
    flipped = mask.clone()
    flipped[1, 0, 0, 0] ^= True
    with pytest.raises(UsageError, match="inferred under another mask"):
        complete(model, x, flipped, posterior, **options)
    other = torch.where(mask, 1 - x, x)
    with pytest.raises(UsageError, match="from other seen values"):
        complete(model, other, mask, posterior, **options)
    # unseen values are no part of what the posterior knows
    complete(model, torch.where(mask, x, torch.nan), mask, posterior, **options)


def test_a_posterior_remembers_what_it_was_inferred_from_when_the_data_change_in_place():
    model, x, mask = bernoulli()
    posterior = encoder(model, x, mask, generator=generator())
    x[1] = 1 - x[1]
    with pytest.raises(UsageError, match="from other seen values"):
        complete(model, x, mask, posterior, draws=1, generator=generator())


def test_completing_needs_a_mask_and_a_draw():
    model, x, mask = bernoulli()
    posterior = encoder(model, x, generator=generator())
    with pytest.raises(UsageError, match="mask is None, which means that every pixel is seen"):
        complete(model, x, None, posterior, draws=1, generator=generator())
    with pytest.raises(UsageError, match="half_mask"):
        complete(model, x, "top", posterior, draws=1, generator=generator())
    part = encoder(model, x, mask, generator=generator())
    with pytest.raises(UsageError, match="draws is 0"):
        complete(model, x, mask, part, draws=0, generator=generator())
