"""Paths between two places: their ends are dragged, moved by keys, and decoded."""

import re

import pytest
import torch
from playwright.sync_api import expect

from tests.support.screen_numbers import fixed
from tests.support.tones import shown_tones

TWO = "plane/interpolate?ends=0;1"
NUMBER = r"(-?[\d.]+)"


def ends_of(visitor):
    """Read the places of the ends in the address, row numbers as None."""
    ends = re.search(r"ends=([^&]*)", visitor.route)
    assert ends is not None
    found = [[float(value) for value in end.split(",")] for end in ends[1].split(";")]
    return [end if len(end) == 2 else None for end in found]


def handle(visitor, name):
    return visitor.page.get_by_role("button", name=f"{name}: end at")


def press(visitor, *keys):
    for key in keys:
        visitor.page.keyboard.press(key)


def middle_of(locator):
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def decoded(explored, z):
    one = explored["plane"]
    return shown_tones(one.tones.drawn(one.model.decode(torch.tensor([z])).mean), 0)


@pytest.mark.full
def test_an_end_follows_the_mouse(visitor, explored):
    visitor.open(TWO)
    x, y = middle_of(handle(visitor, "A"))
    visitor.page.mouse.move(x, y)
    visitor.page.mouse.down()
    visitor.page.mouse.move(x + 90, y + 60, steps=5)
    visitor.page.mouse.up()
    visitor.expect_route(rf"plane/interpolate\?ends={NUMBER},{NUMBER};1")
    visitor.rest()
    (first, second), other = ends_of(visitor)
    assert other is None
    words = f"A: end at z₁ {fixed(first, 2)}, z₂ {fixed(second, 2)}; arrow keys move it"
    expect(handle(visitor, "A")).to_have_attribute("aria-label", words)
    assert middle_of(handle(visitor, "A")) == pytest.approx((x + 90, y + 60), abs=1)
    picture = visitor.page.locator(".end canvas").first
    assert torch.equal(visitor.tones(picture), decoded(explored, [first, second]))
    visitor.page.go_back()
    visitor.expect_route(r"plane/interpolate\?ends=0;1")


def test_an_end_is_moved_by_keys_ten_times_as_far_with_shift(visitor, explored):
    visitor.open("plane/interpolate?ends=0.000,0.000;0.000,0.000")
    visitor.page.locator(".plane-canvas").focus()
    press(visitor, *12 * ["-"])
    handle(visitor, "B").focus()
    press(visitor, "ArrowRight", "ArrowRight", "ArrowRight", "Shift+ArrowUp")
    visitor.expect_route(rf"plane/interpolate\?ends=0.000,0.000;{NUMBER},{NUMBER}")
    visitor.rest()
    still, (first, second) = ends_of(visitor)
    assert still == [0, 0]
    assert first > 0.05
    assert second / 10 == pytest.approx(first / 3, abs=1e-3)
    picture = visitor.page.locator(".end canvas").nth(1)
    assert torch.equal(visitor.tones(picture), decoded(explored, [first, second]))
    visitor.page.go_back()  # undoes the last key
    expect(handle(visitor, "B")).to_have_attribute("aria-label", re.compile("z₂ 0.00;"))


def test_the_slider_goes_from_one_end_to_the_other(visitor, explored):
    visitor.open(TWO)
    slider = visitor.page.get_by_label("Along the path")
    frame = visitor.page.get_by_label("Picture at this place of the path")
    means = explored["plane"].means
    for step, z in {"0": means[0], "6": (means[0] + means[1]) / 2, "12": means[1]}.items():
        slider.fill(step)
        visitor.rest()
        expected = decoded(explored, z.tolist())
        difference = visitor.tones(frame).int() - expected.int()
        assert difference.abs().max() <= 1  # the mean is rounded otherwise on its way


@pytest.mark.full
def test_four_ends_span_a_surface(visitor, explored):
    visitor.open(TWO)
    visitor.page.get_by_text("Four images").click()
    visitor.expect_route(r"plane/interpolate\?ends=0;1;\d+;\d+&down=6")
    visitor.rest()
    film = visitor.tones(visitor.page.get_by_label("Filmstrip of the path"))
    assert film.shape == (3, 13 * 6, 13 * 6)
    corners = [film[:, :6, :6], film[:, :6, -6:]]
    for row, corner in enumerate(corners):
        expected = decoded(explored, explored["plane"].means[row].tolist())
        assert (corner.int() - expected.int()).abs().max() <= 1
