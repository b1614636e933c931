"""Every view of every model: it opens, and its pictures have something on them."""

import pytest

from tests.support.explored_runs import MODELS

TITLES = ("Latent map", "Complete", "Interpolate", "Samples", "Run")
EMPTY = """canvases => canvases.filter(canvas => {
  if (!canvas.checkVisibility() || canvas.ariaLabel?.endsWith(": no values")) return false;
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return new Set(new Uint32Array(pixels.buffer)).size < 2;
}).map(canvas => canvas.ariaLabel ?? canvas.className)"""


@pytest.mark.parametrize(
    "name",
    [pytest.param(m, marks=[pytest.mark.full] * (m in ("plane", "conv"))) for m in MODELS],
)
def test_every_view_is_drawn(visitor, name):
    visitor.open(f"{name}/map?row=3")
    for title in TITLES:
        visitor.look_at(title)
        canvases = visitor.page.locator("main canvas")
        assert canvases.count() > 0
        assert canvases.evaluate_all(EMPTY) == []
        assert visitor.page.locator(".problem:visible").count() == 0
