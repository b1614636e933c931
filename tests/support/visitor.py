"""A visitor of the explorer's page, who fails the test once the page fails."""

import base64
import re
from io import BytesIO

import numpy as np
import torch
from PIL import Image
from playwright.sync_api import ConsoleMessage, Locator, Page, Request, expect
from torch import Tensor

_BUSY_SERVER = "status of 429"  # the page asks again
_ABORTED = "net::ERR_ABORTED"  # by the page itself, for a newer question
_SECONDS = 60

Cell = tuple[int, int]
"""Row and column of a pixel, from 0."""


class Visitor:
    """Looks at a page, and does what people do.

    Args:
        page: an empty page.
        address: that of the explorer.
    """

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address, self.problems = page, address, list[str]()
        page.set_default_timeout(1000 * _SECONDS)
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("requestfailed", self._miss)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and _BUSY_SERVER not in message.text:
            self.problems.append(message.text)

    def _miss(self, request: Request) -> None:
        if request.failure != _ABORTED:
            self.problems.append(f"{request.url}: {request.failure}")

    def open(self, route: str) -> None:
        """Load the page anew at a route such as plane/map, and wait until it rests."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.address}#/{route}")
        self.rest()

    def rest(self) -> None:
        """Wait until nothing is asked of the server."""
        expect(self.page.locator("h2")).to_be_visible()
        expect(self.page.locator("[aria-busy=true]")).to_have_count(0)

    @property
    def route(self) -> str:
        """What the address says."""
        return self.page.evaluate("location.hash").removeprefix("#/")

    def expect_route(self, pattern: str) -> None:
        """Wait until the whole route matches."""
        expect(self.page).to_have_url(re.compile(f"#/{pattern}$"))

    def look_at(self, title: str) -> None:
        """Choose a view by its link, and wait until it rests."""
        self.page.get_by_role("link", name=title, exact=True).click()
        expect(self.page.locator("h2")).to_have_text(title)
        self.rest()

    def tones(self, canvas: Locator) -> Tensor:
        """Return the tones of a canvas, (3, H, W) of uint8."""
        _, _, encoded = canvas.evaluate("canvas => canvas.toDataURL()").partition(",")
        shown = np.array(Image.open(BytesIO(base64.b64decode(encoded))).convert("RGB"))
        return torch.from_numpy(shown).permute(2, 0, 1)

    def place(self, cell: Cell) -> tuple[float, float]:
        """Return the place on the screen of a pixel of the sketch, 6 × 6."""
        canvas = self.page.locator(".sketch-canvas")
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        assert box is not None
        row, column = cell
        return (
            box["x"] + (column + 0.5) / 6 * box["width"],
            box["y"] + (row + 0.5) / 6 * box["height"],
        )

    def stroke(self, *cells: Cell) -> None:
        """Paint from pixel to pixel by the mouse."""
        self.page.mouse.move(*self.place(cells[0]))
        self.page.mouse.down()
        for cell in cells[1:]:
            self.page.mouse.move(*self.place(cell), steps=4)
        self.page.mouse.up()
