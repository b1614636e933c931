"""Strokes in Chromium, and how long after each movement its posterior is on the screen."""

import math
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import quantiles
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright

from benchmarks.results import Row
from tests.support.chromium import launched

_FRAME = 1 / 60  # second between two movements of a quick stroke
_WIDTH = 3  # pixels of the brush

# Movements are noted when they happen, questions when they are sent, and answers after the frame
# that shows them. One question is under way at a time, so that an answer belongs to the last.
_PROBE = """() => {
  const found = { moves: [], questions: [], shown: [] };
  window.probe = found;
  const send = window.fetch;
  window.fetch = (url, options) => {
    if (String(url).endsWith("/complete")) found.questions.push(performance.now());
    return send(url, options);
  };
  document.addEventListener("pointermove", ({ timeStamp, target, buttons }) => {
    if (buttons === 1 && target.matches(".sketch-canvas")) found.moves.push(timeStamp);
  }, { capture: true });
  const note = () => {
    const asked = found.questions.at(-1);
    const shown = () => found.shown.push([asked, performance.now()]);
    requestAnimationFrame(() => setTimeout(shown));
  };
  new MutationObserver(note).observe(document.querySelector(".findings"), { childList: true });
}"""
_ANSWERED = """() => new Promise(resolve => {
  const look = () => {
    const last = probe.moves.at(-1);
    if (probe.shown.some(([asked]) => asked >= last)) resolve(true);
    else setTimeout(look, 5);
  };
  look();
})"""


@dataclass(frozen=True)
class Probed:
    """The movements of some strokes and the answers to them, in milliseconds of one clock.

    Attributes:
        moves: when the brush was moved; each move reveals something.
        shown: (when a question was asked, when its answer was on the screen), in their order.
    """

    moves: Sequence[float]
    shown: Sequence[tuple[float, float]]

    @property
    def delays(self) -> list[float]:
        """The time from each movement to the first posterior on the screen that knows of it."""
        asked = [question for question, _ in self.shown]
        return [self.shown[bisect_left(asked, move)][1] - move for move in self.moves]


@contextmanager
def opened(address: str) -> Iterator[Page]:
    """Open the explorer in Chromium."""
    with sync_playwright() as playwright, launched(playwright) as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 950})
        page.goto(address)
        yield page


def rows(
    page: Page, address: str, run: str, method: str, reach: float, moves: int
) -> Iterator[Row]:
    """Yield the delays of a quick stroke, and of movements that wait for their answers.

    Args:
        page: an open page.
        address: that of the explorer.
        run: the id of a run.
        method: of inference.
        reach: the bound in milliseconds.
        moves: how often the brush is moved at least, for each of the two.
    """
    for what, patient in (("after a movement", True), ("within a quick stroke", False)):
        delays = painted(page, address, run, method, moves, patient=patient).delays
        name = f"{run}, {method}: posterior on the screen {what}"
        yield Row(name, delays, "ms", reach)
        yield Row(f"{name}, 90th percentile", [quantiles(delays, n=10)[-1]], "ms", reach)


def painted(
    page: Page, address: str, run: str, method: str, moves: int, *, patient: bool
) -> Probed:
    """Reveal a row of the data by strokes that cover the picture, again and again.

    Args:
        page: an open page.
        address: that of the explorer.
        run: the id of a run.
        method: of inference.
        moves: how often the brush is moved at least.
        patient: wait for each answer before the next movement.
    """
    found, left = Probed([], []), moves
    while left > 0:
        _open(page, f"{address}#/{run}/complete?row=3&mask=none&size={_WIDTH}&method={method}")
        sheet = _paint(page, left, patient=patient)
        found = Probed([*found.moves, *sheet.moves], [*found.shown, *sheet.shown])
        left -= len(sheet.moves)
    return found


def _open(page: Page, address: str) -> None:
    page.goto("about:blank")
    page.goto(address)
    expect(page.locator(".findings .number")).to_be_visible(timeout=60_000)
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    page.evaluate(_PROBE)


def _paint(page: Page, most: int, *, patient: bool) -> Probed:
    """Paint one picture, or a part of it, and return what was found."""
    started = page.evaluate("performance.timeOrigin")
    for line in _lines(page, most):
        page.mouse.move(*line[0])
        page.mouse.down()
        for place in line[1:]:
            page.mouse.move(*place)
            if patient:
                page.evaluate(_ANSWERED)
            else:
                time.sleep(_FRAME)
        page.mouse.up()
    page.evaluate(_ANSWERED)
    return _probed(page.evaluate("probe"), started)


def _lines(page: Page, most: int) -> list[list[tuple[float, float]]]:
    """Return the places on the screen of lines beside each other, with so many moves at most."""
    box = page.locator(".sketch-canvas").bounding_box()
    assert box is not None
    height, width = page.evaluate(_SHAPE)
    across, down = box["width"] / width, box["height"] / height

    def place(column: int, row: int) -> tuple[float, float]:
        return box["x"] + (column + 0.5) * across, box["y"] + (row + 0.5) * down

    columns = range(width - _WIDTH // 2)  # beyond these the brush reveals nothing more
    middles = range(_WIDTH // 2, height, _WIDTH)[: math.ceil(most / (len(columns) - 1))]
    return [[place(column, row) for column in columns] for row in middles]


_SHAPE = """async () => {
  const run = location.hash.split("/")[1];
  const { event_shape: shape } = await (await fetch(`api/runs/${run}`)).json();
  return shape.slice(1);
}"""


def _probed(found: dict[str, Any], started: float) -> Probed:
    """Take what the page found, on a clock that all pages share."""
    moves = [started + move for move in found["moves"]]
    return Probed(moves, [(started + asked, started + at) for asked, at in found["shown"]])
