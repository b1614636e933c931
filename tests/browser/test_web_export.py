"""The static page in Chromium, from a folder of a plain web server."""

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import torch
from playwright.sync_api import expect

from elboroom import infer
from elboroom.explorer.web_export.folder import write_export
from elboroom.randomness import stream
from tests.browser.conftest import visiting
from tests.support.explored_runs import open_runs
from tests.support.screen_numbers import fixed

ROW = 3
TITLES = ("Latent map", "Complete", "Interpolate", "Samples", "Run")


class Quiet(SimpleHTTPRequestHandler):
    """Serves files, and says nothing."""

    def log_message(self, format, *args):
        """Write no line for each request."""


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    return open_runs(tmp_path_factory.mktemp("explored"), "plane")["plane"]


@pytest.fixture(scope="module")
def address(plane, tmp_path_factory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("host")
    write_export(plane, root / "some" / "folder")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/some/folder/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def visitor(context, address):
    with visiting(context, address) as visitor:
        yield visitor


def expect_evidence(visitor, plane, rows_seen):
    """Wait for log p of so many rows of pixels from the top, as Python computes it."""
    x = plane.part.x[ROW]
    seen = torch.zeros_like(x, dtype=torch.bool)
    seen[:, :rows_seen] = True
    exact = infer.grid(plane.model, x[None], seen[None], generator=stream(0, "test"))
    number = visitor.page.locator(".evidence .number")
    expect(number).to_have_text(fixed(exact.log_evidence, 2))


def test_every_view_works_without_a_server(visitor):
    visitor.open(f"plane/map?row={ROW}")
    for title in TITLES:
        visitor.look_at(title)
        assert visitor.page.locator(".problem:visible").count() == 0


@pytest.mark.full
def test_the_posterior_follows_the_brush(visitor, plane):
    visitor.open(f"plane/complete?row={ROW}&size=1")
    expect_evidence(visitor, plane, 3)
    visitor.stroke((3, 0), (3, 5))
    visitor.rest()
    expect_evidence(visitor, plane, 4)
