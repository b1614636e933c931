"""Everything can be reached and done by the keyboard alone."""

import pytest
import torch
from playwright.sync_api import expect

from elboroom import infer
from elboroom.randomness import stream
from tests.support.screen_numbers import fixed

TITLES = ("Latent map", "Complete", "Interpolate", "Samples", "Run")
FOCUSED = """() => {
  const { activeElement: one } = document;
  if (one === document.body) return "";
  return one.ariaLabel ?? one.labels?.[0]?.innerText ?? one.innerText;
}"""


def focused(visitor):
    return visitor.page.evaluate(FOCUSED)


def tab_to(visitor, name):
    """Press Tab until the element of a name has the focus, and return the names on the way."""
    passed = []
    while focused(visitor) != name:
        assert len(passed) < 60, passed
        visitor.page.keyboard.press("Tab")
        passed.append(focused(visitor))
    return passed


def test_a_picture_is_completed_without_a_mouse(visitor, explored):
    visitor.open("plane/complete?row=3&mask=none&size=1")
    passed = tab_to(visitor, "The picture, of which a part is seen")
    assert passed[:2] == ["Skip to the view", "Run"]
    assert passed[2:7] == list(TITLES)
    assert passed[-5:-1] == ["Test image", "Next", "Random", "Blank"]
    visitor.page.keyboard.down("Space")
    visitor.page.keyboard.press("ArrowLeft")
    visitor.page.keyboard.press("ArrowUp")
    visitor.page.keyboard.up("Space")
    seen = torch.zeros(1, 1, 6, 6, dtype=torch.bool)
    seen[..., [3, 3, 2], [3, 2, 2]] = True  # from the middle to the left, then up
    x = explored["plane"].part.x[3:4]
    exact = infer.grid(explored["plane"].model, x, seen, generator=stream(0, "test"))
    evidence = visitor.page.locator(".evidence .number")
    expect(evidence).to_have_text(fixed(exact.log_evidence, 2))
    expect(visitor.page.get_by_role("status")).to_have_text(
        f"log p(seen) {fixed(exact.log_evidence, 2)} nats"
    )
    tab_to(visitor, "Reveal")
    visitor.page.keyboard.press("ArrowRight")
    visitor.expect_route(r"plane/complete\?.*brush=unseen.*")
    tab_to(visitor, "Method")
    visitor.page.keyboard.press("ArrowDown")
    visitor.expect_route(r"plane/complete\?.*method=laplace.*")
    expect(visitor.page.locator(".quality dt")).to_contain_text("KL(q ‖ p)")
    tab_to(visitor, "More draws")
    visitor.page.keyboard.press("Enter")
    visitor.expect_route(r"plane/complete\?.*seed=1.*")
    visitor.rest()


def test_no_view_traps_the_focus(visitor):
    visitor.open("space/map?row=3")
    for title in TITLES:
        visitor.look_at(title)
        tab_to(visitor, "")  # beyond the last element
        assert tab_to(visitor, "Skip to the view") == ["Skip to the view"]


def test_the_skip_link_leads_to_the_view(visitor):
    visitor.open("plane/run")
    visitor.page.keyboard.press("Tab")
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.locator("main")).to_be_focused()
    assert visitor.route == "plane/run"


@pytest.mark.parametrize("name", [pytest.param("plane", marks=pytest.mark.full), "space"])
def test_a_dot_is_chosen_in_the_middle_of_the_map(visitor, explored, name):
    one = explored[name]
    place = one.plane(None).project(one.means[5]).tolist()
    visitor.open(f"{name}/map?at={place[0]:.4f},{place[1]:.4f}&span=0.01")
    visitor.page.locator(".plane-canvas").focus()
    visitor.page.keyboard.press("Enter")
    visitor.expect_route(rf"{name}/map\?.*row=5")
    visitor.rest()
    expect(visitor.page.locator(".row-card h3")).to_have_text(
        f"Row {one.part.numbers[5]}", ignore_case=True
    )
