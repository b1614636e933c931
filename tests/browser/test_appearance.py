"""The page on narrow and wide screens, in both themes, and by the rules of accessibility."""

import pytest
from playwright.sync_api import expect

from tests.support.axe import AXE, BREACHES

TITLES = ("Latent map", "Complete", "Interpolate", "Samples", "Run")
LIGHT, DARK = "rgb(250, 249, 246)", "rgb(17, 20, 24)"


@pytest.mark.parametrize(
    "width", [360, *(pytest.param(width, marks=pytest.mark.full) for width in (900, 1600))]
)
def test_no_view_is_wider_than_the_screen(visitor, width):
    visitor.page.set_viewport_size({"width": width, "height": 800})
    visitor.open("space/map?axes=1,3&row=3")
    for title in TITLES:
        visitor.look_at(title)
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width, title
        assert visitor.page.evaluate("document.body.scrollWidth") <= width, title


def ground(visitor):
    return visitor.page.locator("body").evaluate("one => getComputedStyle(one).backgroundColor")


def corner(visitor):
    """Return the first pixel of the canvas with the map."""
    return visitor.tones(visitor.page.locator(".plane-canvas"))[:, 0, 0].tolist()


def test_a_theme_is_chosen_and_kept(visitor):
    visitor.page.emulate_media(color_scheme="light")
    visitor.open("plane/map")
    assert ground(visitor) == LIGHT
    assert corner(visitor) == [255, 255, 255]
    visitor.page.get_by_text("Dark", exact=True).click()
    expect(visitor.page.locator("body")).to_have_css("background-color", DARK)
    expect(visitor.page.get_by_label("Dark")).to_be_checked()
    visitor.open("plane/map")
    assert ground(visitor) == DARK
    assert corner(visitor) == [24, 28, 34]
    visitor.page.get_by_text("System", exact=True).click()
    expect(visitor.page.locator("body")).to_have_css("background-color", LIGHT)
    visitor.page.emulate_media(color_scheme="dark")
    expect(visitor.page.locator("body")).to_have_css("background-color", DARK)


@pytest.mark.parametrize("name", ["plane", pytest.param("space", marks=pytest.mark.full)])
def test_no_rule_of_accessibility_is_seriously_broken(visitor, name):
    visitor.page.emulate_media(color_scheme="light")
    visitor.open(f"{name}/map?row=3&manifold=on")
    visitor.page.evaluate(AXE)
    for title in TITLES:
        visitor.look_at(title)
        assert visitor.page.evaluate(BREACHES) == [], title
        visitor.page.emulate_media(color_scheme="dark")
        # Nothing but colours depends on the theme.
        assert visitor.page.evaluate(BREACHES, ["color-contrast"]) == [], title
        visitor.page.emulate_media(color_scheme="light")
