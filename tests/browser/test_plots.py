"""Plots of the latent plane, whose pixels are where the numbers say."""

import pytest
import torch
from playwright.sync_api import expect
from torch import Tensor
from torch.nn.functional import max_pool2d

from elboroom import infer
from elboroom.explorer import ExploredRun
from elboroom.infer.grid import GridPosterior
from elboroom.randomness import stream
from tests.support.drawn import ellipse, outer_contours, shell

ROW = 0
_POSTERIOR = f"plane/complete?row={ROW}&mask=top"


def posterior(explored: ExploredRun) -> GridPosterior:
    """Infer p(z | upper half of the row)."""
    x = explored.part.x[ROW]
    seen = torch.zeros_like(x, dtype=torch.bool)
    seen[:, :3] = True
    return infer.grid(explored.model, x[None], seen[None], generator=stream(0, "test"))


def depths(posterior: GridPosterior) -> tuple[Tensor, Tensor]:
    """Return the points of a fine lattice, (S, S, 2), and their nats below the maximum, (S, S)."""
    line = torch.linspace(-6, 6, 1_201)
    centre, deviation = posterior.mean[0], posterior.covariance[0].diagonal().sqrt()
    points = centre + torch.cartesian_prod(line, line) * deviation
    log_prob = posterior.log_prob(points[:, None])[:, 0]
    side = len(line)
    return points.double().view(side, side, 2), (log_prob.amax() - log_prob).view(side, side)


def exact_shell(posterior: GridPosterior) -> Tensor:
    """Return the points 0.5 to 2.5 nats below the maximum, (N, 2)."""
    points, below = depths(posterior)
    return points[(below > 0.5) & (below < 2.5)]


def exact_contour(posterior: GridPosterior) -> Tensor:
    """Return the points beside the contour 8 nats below the maximum, (N, 2)."""
    points, below = depths(posterior)
    outside = (below > 8).float()
    return points[max_pool2d(outside[None], 3, 1, 1)[0] > outside]


def pixels_of_a_unit(outline: Tensor, posterior: GridPosterior) -> Tensor:
    """Measure both axes by the ellipse of two standard deviations, (2,)."""
    return (outline.amax(0) - outline.amin(0)) / 4 / posterior.covariance[0].diagonal().sqrt()


def middle(outline: Tensor) -> Tensor:
    """Return the middle of what surrounds it, (2,)."""
    return (outline.amax(0) + outline.amin(0)) / 2


def radii(points: Tensor) -> Tensor:
    """Return the largest distance from the origin in each of 24 directions, (24,)."""
    angles = torch.atan2(points[:, 1], points[:, 0]) / (2 * torch.pi) % 1
    return torch.stack([points[(24 * angles).int() == i].norm(dim=1).amax() for i in range(24)])


def correlation(points: Tensor) -> float:
    """Return the correlation of both coordinates."""
    return points.T.corrcoef()[0, 1].item()


def test_the_ellipse_has_the_covariance_of_the_exact_posterior(visitor, explored):
    visitor.open(_POSTERIOR)
    pixels = ellipse(visitor.tones(visitor.page.locator(".plane-canvas")))
    (left, bottom), (right, top) = pixels.amin(0).tolist(), pixels.amax(0).tolist()
    ((var_x, cov), (_, var_y)) = posterior(explored["plane"]).covariance[0].tolist()
    deviation = (right - left) / 4 / var_x**0.5  # pixels of one unit
    assert abs((top - bottom) / 4 - deviation * var_y**0.5) < 1.5
    summit = pixels[pixels[:, 1] > top - 1, 0].mean() - (left + right) / 2
    assert abs(summit - 2 * deviation * cov / var_y**0.5) < 4
    assert deviation * cov / var_y**0.5 > 4  # so that a mirrored ellipse fails


def test_the_heat_map_has_the_shape_of_the_exact_posterior(visitor, explored):
    visitor.open(_POSTERIOR)
    tones = visitor.tones(visitor.page.locator(".plane-canvas"))
    outline, found = ellipse(tones), shell(tones)
    exact = posterior(explored["plane"])
    expected = exact_shell(exact)
    beside = (expected.mean(0) - exact.mean[0]) * pixels_of_a_unit(outline, exact)
    assert (found.mean(0) - middle(outline) - beside).norm() < 2
    assert abs(correlation(found) - correlation(expected)) < 0.05
    assert correlation(expected) > 0.2  # so that a mirrored map fails


@pytest.mark.full
def test_contours_have_the_shape_of_the_exact_posterior(visitor, explored):
    visitor.open(_POSTERIOR)
    tones = visitor.tones(visitor.page.locator(".plane-canvas"))
    outline, exact = ellipse(tones), posterior(explored["plane"])
    contour = (exact_contour(exact) - exact.mean[0]) * pixels_of_a_unit(outline, exact)
    found, expected = radii(outer_contours(tones) - middle(outline)), radii(contour)
    torch.testing.assert_close(found, expected, atol=2.5, rtol=0)
    mirrored = radii(contour * torch.tensor([1, -1]))
    assert (mirrored - expected).abs().max() > 7  # so that mirrored contours fail


def test_the_ellipse_of_a_row_lies_at_its_mean(visitor, explored):
    """Its middle, under the pointer, is read as the mean of q(z | x)."""
    one = explored["plane"]
    mean = one.model.posterior(one.part.x[ROW : ROW + 1]).mean[0].tolist()
    visitor.open(f"plane/map?row={ROW}&at=0.2,0.3&span=5")
    canvas = visitor.page.locator(".plane-canvas")
    x, y = middle(ellipse(visitor.tones(canvas))).tolist()
    canvas.hover(position={"x": x, "y": -y})
    place = visitor.page.locator(".place")
    expect(place).to_contain_text("z₁ = ")
    visitor.rest()
    found = [
        float(part.split("= ")[1].replace("−", "-")) for part in place.inner_text().split(", ")
    ]
    assert found == pytest.approx(mean, abs=0.03)
