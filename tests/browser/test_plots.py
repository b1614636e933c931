"""Plots of the latent plane, whose pixels are where the numbers say."""

import pytest
import torch
from playwright.sync_api import expect
from torch import Tensor

from elboroom import infer
from elboroom.explorer import ExploredRun
from elboroom.infer.grid import GridPosterior
from elboroom.randomness import stream
from tests.support.drawn import ellipse, shell

ROW = 0
_POSTERIOR = f"plane/complete?row={ROW}&mask=top"


def posterior(explored: ExploredRun) -> GridPosterior:
    """Infer p(z | upper half of the row)."""
    x = explored.part.x[ROW]
    seen = torch.zeros_like(x, dtype=torch.bool)
    seen[:, :3] = True
    return infer.grid(explored.model, x[None], seen[None], generator=stream(0, "test"))


def exact_shell(posterior: GridPosterior) -> Tensor:
    """Return the points of a fine lattice with such a log-density, (N, 2)."""
    line = torch.linspace(-4, 4, 801)
    centre, deviation = posterior.mean[0], posterior.covariance[0].diagonal().sqrt()
    points = centre + torch.cartesian_prod(line, line) * deviation
    depth = posterior.log_prob(points[:, None])[:, 0]
    return points[(depth.amax() - depth - 1.5).abs() < 1].double()


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
    expected, deviation = exact_shell(exact), exact.covariance[0].diagonal().sqrt()
    scale = (outline.amax(0) - outline.amin(0)) / 4 / deviation
    middle = (outline.amax(0) + outline.amin(0)) / 2
    beside = (expected.mean(0) - exact.mean[0]) * scale
    assert (found.mean(0) - middle - beside).norm() < 2
    assert abs(correlation(found) - correlation(expected)) < 0.05
    assert correlation(expected) > 0.2  # so that a mirrored map fails


def test_the_ellipse_of_a_row_lies_at_its_mean(visitor, explored):
    """Its middle, under the pointer, is read as the mean of q(z | x)."""
    one = explored["plane"]
    mean = one.model.posterior(one.part.x[ROW : ROW + 1]).mean[0].tolist()
    visitor.open(f"plane/map?row={ROW}&at=0.2,0.3&span=5")
    canvas = visitor.page.locator(".plane-canvas")
    outline = ellipse(visitor.tones(canvas))
    x, y = ((outline.amax(0) + outline.amin(0)) / 2).tolist()
    canvas.hover(position={"x": x, "y": -y})
    place = visitor.page.locator(".place")
    expect(place).to_contain_text("z₁ = ")
    visitor.rest()
    found = [
        float(part.split("= ")[1].replace("−", "-")) for part in place.inner_text().split(", ")
    ]
    assert found == pytest.approx(mean, abs=0.03)
