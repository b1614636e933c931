"""Strokes on the sketch: by mouse and by touch, erased, filled in at once, undone."""

from itertools import product

import numpy as np
import pytest
import torch
from playwright.sync_api import expect

from elboroom import infer
from elboroom.explorer.api.completion import CompletionRequest, completion
from elboroom.randomness import stream
from tests.support.screen_numbers import fixed, significant
from tests.support.visitor import Visitor

ROW = 3
NONE = f"plane/complete?row={ROW}&mask=none&size=1"


def expect_seen(visitor, explored, seen, x=None):
    """Wait for the evidence of a mask: the rows of a picture of the row, or another picture."""
    one = explored["plane"]
    x = one.part.x[ROW] if x is None else x
    mask = torch.tensor(seen, dtype=torch.bool).view(1, 1, 6, 6)
    found = infer.grid(one.model, x[None], mask, generator=stream(0, "test")).log_evidence
    expect(visitor.page.locator(".evidence .number")).to_have_text(fixed(found, 2))


def cells(*painted):
    seen = torch.zeros(6, 6)
    for row, column in painted:
        seen[row, column] = 1
    return seen.tolist()


LINE = [(2, column) for column in range(5)]


def test_a_stroke_of_the_mouse_reveals_the_pixels_on_its_way(visitor, explored):
    visitor.open(NONE)
    visitor.stroke(LINE[0], LINE[-1])
    expect_seen(visitor, explored, cells(*LINE))
    visitor.expect_route(r"plane/complete\?row=3&mask=[\w-]+&size=1")


@pytest.mark.full
def test_a_turn_and_a_second_stroke_add_to_the_first(visitor, explored):
    visitor.open(NONE)
    visitor.stroke((1, 1), (1, 4), (4, 4))
    visitor.stroke((5, 0))
    around = [(1, column) for column in range(1, 5)] + [(row, 4) for row in range(2, 5)]
    expect_seen(visitor, explored, cells(*around, (5, 0)))


@pytest.mark.full
def test_a_wide_brush_is_round(visitor, explored):
    visitor.open(NONE)
    visitor.page.get_by_text("5 px", exact=True).click()
    visitor.stroke((2, 2))
    corners = {(0, 0), (0, 4), (4, 0), (4, 4)}
    expect_seen(visitor, explored, cells(*({*product(range(5), repeat=2)} - corners)))


def test_the_brush_that_hides_erases(visitor, explored):
    visitor.open(NONE)
    visitor.stroke(LINE[0], LINE[-1])
    expect_seen(visitor, explored, cells(*LINE))
    visitor.page.get_by_text("Hide", exact=True).click()
    visitor.stroke((2, 1), (2, 3))
    expect_seen(visitor, explored, cells(LINE[0], LINE[-1]))


def test_black_and_white_are_painted_over_the_picture(visitor, explored):
    visitor.open("plane/complete?row=blank&mask=none&size=1&brush=white")
    visitor.stroke(LINE[0], LINE[-1])
    visitor.page.get_by_text("Black", exact=True).click()
    visitor.stroke((4, 0))
    x = torch.zeros(1, 6, 6)
    x[0, 2, :5] = 1
    expect_seen(visitor, explored, cells(*LINE, (4, 0)), x)
    expect(visitor.page.get_by_label("Reveal")).to_be_disabled()


def test_a_preset_is_seen_at_once(visitor, explored):
    visitor.open(f"plane/complete?row={ROW}")
    for title in ("Bottom", "Left", "All", "None"):
        visitor.page.get_by_role("button", name=title, exact=True).click()
        seen = torch.zeros(6, 6)
        {"Bottom": seen[3:], "Left": seen[:, :3], "All": seen, "None": seen[:0]}[title][:] = 1
        expect_seen(visitor, explored, seen.tolist())
        visitor.expect_route(rf"plane/complete\?row=3&mask={title.lower()}")


def test_back_undoes_a_stroke_and_forward_repeats_it(visitor, explored):
    visitor.open(NONE)
    visitor.stroke(LINE[0], LINE[-1])
    visitor.stroke((5, 5))
    expect_seen(visitor, explored, cells(*LINE, (5, 5)))
    visitor.page.go_back()
    expect_seen(visitor, explored, cells(*LINE))
    visitor.page.go_back()
    expect_seen(visitor, explored, cells())
    visitor.page.go_forward()
    expect_seen(visitor, explored, cells(*LINE))


def test_a_finger_paints(browser, address, explored):
    with browser.new_context(has_touch=True, viewport={"width": 390, "height": 800}) as context:
        visitor = Visitor(context.new_page(), address)
        visitor.open(NONE)
        touch_along(visitor, LINE)
        expect_seen(visitor, explored, cells(*LINE))
        assert visitor.page.evaluate("scrollY") == 0
        assert visitor.problems == []


def touch_along(visitor, line):
    """Put a finger down, move it, and lift it."""
    devtools = visitor.page.context.new_cdp_session(visitor.page)

    def touch(kind, *points):
        at = [{"x": x, "y": y} for x, y in points]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    touch("touchStart", visitor.place(line[0]))
    for cell in line[1:]:
        touch("touchMove", visitor.place(cell))
    touch("touchEnd")


@pytest.mark.parametrize("name", [pytest.param("plane", marks=pytest.mark.full), "colour"])
def test_the_value_and_the_surprise_of_a_pixel_are_read_under_the_pointer(visitor, explored, name):
    x = explored[name].part.x[ROW]
    seen = (torch.arange(6) < 3)[:, None].expand_as(x)
    asked = CompletionRequest(x=x.flatten().tolist(), seen=seen.flatten().int().tolist())
    surprise = completion(explored[name], asked).surprise
    assert surprise is not None
    nats = np.frombuffer(surprise.data, surprise.dtype).reshape(surprise.shape)[:, 0, 0].sum()
    visitor.open(f"{name}/complete?row={ROW}&mask=top")
    visitor.page.mouse.move(*visitor.place((5, 0)))
    readout = visitor.page.locator(".sketch-side .place")
    expect(readout).to_have_text("Row 6, column 1: unseen")
    visitor.page.get_by_label("Surprise of each seen pixel").check()
    expect(visitor.page.locator(".surprise-key")).to_be_visible()
    visitor.page.mouse.move(*visitor.place((0, 0)))
    expect(readout).to_contain_text("Row 1, column 1: seen, ")
    expect(readout).to_contain_text(f", surprise {significant(nats, 2)} nats")
