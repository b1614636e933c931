import torch

from elboroom.infer import complete, grid
from oracles import LinearGaussian, assert_mean, assert_rejected, random_masks


def generator():
    return torch.Generator().manual_seed(1)


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
    cell = 2e-3 * exact.weight.square().sum(-1)  # the grid's draws are uniform within a cell
    upper = torch.where(mask, 0.0, variance + cell)
    lower = torch.where(mask, 0.0, variance)
    error = squares.std(0) / len(squares) ** 0.5
    assert (squares.mean(0) < upper + 4.5 * error + 1e-12).all()
    assert (squares.mean(0) > lower - 4.5 * error - 1e-12).all()
    averaged = spread.diagonal(dim1=-1, dim2=-2) / 256  # the mean averages over 256 draws of z
    assert ((found.mean - expected).abs() < 4.5 * averaged.sqrt() + 1e-12).all()
