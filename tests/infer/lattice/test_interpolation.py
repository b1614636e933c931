import pytest
import torch

from elboroom.infer import grid
from elboroom.infer.lattice.interpolation import Interpolation
from tests.support.grid_cases import generator, problem, small_vae


def within(cells, most=10.0):
    """A point u in each cell that is not deep in the tails, with the cell."""
    top = torch.full_like(cells.spacing, -torch.inf)
    top = top.scatter_reduce(0, cells.row, cells.log_joint.double(), "amax")
    cell = (cells.log_joint > top[cells.row] - most).nonzero()[:, 0]
    u = torch.rand(len(cell), cells.points.shape[-1], generator=generator()).double() - 0.5
    return cell, u


@pytest.mark.parametrize("latents", [1, 2])
def test_the_log_density_of_a_gaussian_is_exact_between_the_points(latents):
    exact, x, mask = problem(latents)
    cells = grid(exact.model, x, mask, generator=generator()).cells
    cell, u = within(cells)
    row, at = cells.row[cell], cells.points[cell]
    expected = exact.model.log_joint(x[row], at + cells.spacing[row, None] * u, mask[row])
    rise = Interpolation.of(cells).rise(cell, u)
    torch.testing.assert_close(cells.log_joint[cell] + rise, expected, atol=1e-9, rtol=0)
    assert (cells.log_joint[cell] - expected).abs().max() > 0.1  # if it were constant in a cell


@pytest.mark.parametrize("latents", [1, 2])
def test_a_refined_grid_has_the_density_of_a_gaussian(latents):
    exact, x, mask = problem(latents)
    found = grid(exact.model, x, mask, generator=generator())
    points, log_density = found.refined(3)
    assert points.shape == (len(found.cells.points), 3**latents, latents)
    torch.testing.assert_close(points.mean(1), found.cells.points)
    cell, _ = within(found.cells)
    row = found.cells.row[cell]
    expected = torch.stack(
        [
            found.log_prob(z[:, None].expand(-1, len(x), -1))[:, r]
            for z, r in zip(points[cell], row, strict=True)
        ]
    )
    torch.testing.assert_close(log_density[cell], expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("latents", [1, 2])
def test_no_rise_exceeds_its_limit(latents):
    model, x, mask = small_vae(4, latents, 6.0)
    found = Interpolation.of(grid(model, x, mask, generator=generator()).cells)
    corners = torch.cartesian_prod(*[torch.linspace(-0.5, 0.5, 5).double()] * latents)
    every = torch.arange(len(found.slope))
    for u in corners.view(-1, latents):
        assert (found.rise(every, u.expand(len(every), -1)) <= found.limit + 1e-12).all()


def test_the_border_of_the_cells_is_flat():
    exact, x, mask = problem(1)
    cells = grid(exact.model, x, mask, generator=generator()).cells
    found = Interpolation.of(cells)
    first, last = cells.offsets[:-1], cells.offsets[1:] - 1
    ends = torch.stack(
        [
            cells.points[a : b + 1, 0].sort().indices[[0, -1]] + a
            for a, b in zip(first, last, strict=True)
        ]
    ).flatten()
    assert (found.slope[ends] == 0).all()
    assert (found.curvature[ends] == 0).all()
    assert (found.curvature == 0).sum() == len(ends)
