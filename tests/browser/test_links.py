"""The address holds the state of a view: whoever opens it sees the same."""

import pytest
import torch
from playwright.sync_api import expect

from tests.support.visitor import Visitor

# In one step, so that the view is left before what was moved has settled.
_MOVE_AND_LEAVE = """() => {
    const zoom = new KeyboardEvent("keydown", { key: "+", bubbles: true });
    document.querySelector(".plane-canvas").dispatchEvent(zoom);
    document.querySelector('#views a[href*="samples"]').click();
}"""


def seen_by_another(browser, address, route):
    """Open a route in another browser profile, and return what the first canvases show."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        visitor = Visitor(context.new_page(), address)
        visitor.open(route)
        return pictures(visitor), words(visitor)


def pictures(visitor):
    canvases = visitor.page.locator("canvas.picture:visible").all()
    return [visitor.tones(canvas) for canvas in canvases]


def words(visitor):
    """Return what the posterior and the findings say."""
    shown = visitor.page.locator(".key, .evidence, .quality").all_inner_texts()
    return [visitor.page.locator("h2").inner_text(), *shown]


@pytest.mark.parametrize("name", ["plane", pytest.param("colour", marks=pytest.mark.full)])
def test_a_painted_sketch_is_opened_again(visitor, browser, address, name):
    visitor.open(f"{name}/complete?row=2&size=1&mask=left")
    visitor.stroke((0, 3), (5, 5))
    visitor.page.get_by_text("White", exact=True).click()
    visitor.stroke((1, 0), (1, 2))
    visitor.page.get_by_label("Method").select_option("encoder")
    visitor.page.get_by_label("Surprise of each seen pixel").check()
    visitor.expect_route(
        rf"{name}/complete\?(?=.*mask=)(?=.*ink=)(?=.*method=encoder).*surprise=on"
    )
    visitor.rest()
    expect(visitor.page.locator(".quality b")).to_contain_text("nats")
    here = pictures(visitor), words(visitor)
    there = seen_by_another(browser, address, visitor.route)
    assert here[1] == there[1]
    assert len(here[0]) == len(there[0]) == 2
    assert all(torch.equal(one, other) for one, other in zip(here[0], there[0], strict=True))


def test_a_place_of_the_map_is_opened_again(visitor):
    route = "plane/map?at=0.500,-0.250&span=2.000&hide=1&manifold=on&row=4"
    visitor.open(route)
    expect(visitor.page.locator(".place")).to_have_text("z₁ = 0.50, z₂ = −0.25")
    expect(visitor.page.locator(".row-card h3")).to_have_text("row 48")
    expect(visitor.page.get_by_label("Decoded manifold behind the dots")).to_be_checked()
    boxes = visitor.page.locator(".legend input")
    expect(boxes.nth(0)).to_be_checked()
    expect(boxes.nth(1)).not_to_be_checked()
    visitor.page.locator(".plane-canvas").focus()
    visitor.page.keyboard.press("ArrowRight")
    visitor.expect_route(
        r"plane/map\?at=(?!0.500)[\d.]+,-0.250&span=2.000&hide=1&manifold=on&row=4"
    )


@pytest.mark.full
def test_samples_are_opened_again(visitor, browser, address):
    visitor.open("space/samples?count=12&temperature=0.5&values=draw&seed=7")
    canvas = visitor.page.get_by_role("img")
    expect(canvas).to_have_attribute("aria-label", "12 samples, draws, temperature 0.5")
    here = visitor.tones(canvas)
    (there,), _ = seen_by_another(browser, address, visitor.route)
    assert torch.equal(here, there)
    visitor.page.get_by_role("button", name="New samples").click()
    visitor.expect_route(r"space/samples\?count=12&temperature=0.5&values=draw&seed=(?!7$)\d+")
    visitor.rest()
    assert not torch.equal(visitor.tones(canvas), here)


@pytest.mark.full
def test_more_draws_are_others_and_opened_again(visitor, browser, address):
    visitor.open("plane/complete?row=2&mask=left")
    draws = visitor.page.get_by_role("img", name="12 draws of the completion")
    first = visitor.tones(draws)
    visitor.page.get_by_role("button", name="More draws").click()
    visitor.expect_route(r"plane/complete\?row=2&mask=left&seed=1")
    visitor.rest()
    assert not torch.equal(visitor.tones(draws), first)
    pictures_there, _ = seen_by_another(browser, address, visitor.route)
    assert any(torch.equal(there, visitor.tones(draws)) for there in pictures_there)


def test_a_view_is_left_and_found_as_it_was(visitor):
    visitor.open("plane/map?row=7")
    visitor.page.get_by_role("link", name="Hide a part, and complete it").click()
    visitor.expect_route(r"plane/complete\?row=7")
    visitor.look_at("Samples")
    visitor.look_at("Complete")
    visitor.expect_route(r"plane/complete\?row=7")
    visitor.look_at("Latent map")
    visitor.expect_route(r"plane/map\?row=7")


def test_a_view_that_is_left_writes_no_address(visitor):
    visitor.open("plane/map?row=7")
    visitor.page.evaluate(_MOVE_AND_LEAVE)
    visitor.page.wait_for_timeout(500)  # more than the time in which a moved view settles
    visitor.expect_route("plane/samples")
    visitor.look_at("Latent map")
    visitor.expect_route(r"plane/map\?row=7")


def test_another_run_is_chosen_from_the_list(visitor):
    visitor.open("plane/samples")
    visitor.page.get_by_label("Run", exact=True).select_option("space")
    visitor.expect_route("space/samples")
    expect(visitor.page.locator(".summary")).to_contain_text("5 latents")
