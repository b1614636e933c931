"""The explorer's page in Chromium: one server of small runs, and a fresh page for each test."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from elboroom.explorer import ExploredRun
from tests.support.chromium import launched
from tests.support.explored_runs import MODELS, open_runs
from tests.support.served import served
from tests.support.visitor import Visitor

expect.set_options(timeout=30_000)


@pytest.fixture(scope="session")
def explored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ExploredRun]:
    return open_runs(tmp_path_factory.mktemp("explored"), *MODELS)


@pytest.fixture(scope="session")
def address(explored: dict[str, ExploredRun]) -> Iterator[str]:
    with served(explored) as found:
        yield found


@pytest.fixture(scope="package")  # Playwright keeps an event loop, which other tests do not expect
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launched(playwright)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        yield context


@pytest.fixture
def visitor(context: BrowserContext, address: str) -> Iterator[Visitor]:
    with visiting(context, address) as visitor:
        yield visitor


@contextmanager
def visiting(context: BrowserContext, address: str) -> Iterator[Visitor]:
    """Open a page, whose problems fail the test."""
    visitor = Visitor(context.new_page(), address)
    yield visitor
    assert visitor.problems == []
