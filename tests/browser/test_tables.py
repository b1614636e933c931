"""The view of tables: entries that are hidden, changed and paired, and numbers of the library."""

import math

import pytest
import torch
from playwright.sync_api import expect

from elboroom import infer
from elboroom.explorer.columns import columns_of
from elboroom.randomness import stream
from tests.browser.conftest import visiting
from tests.support.axe import AXE, BREACHES
from tests.support.explored_runs import open_tables
from tests.support.screen_numbers import fixed
from tests.support.served import served

ROW = 3


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    return open_tables(tmp_path_factory.mktemp("tables"))


@pytest.fixture
def visitor(context, tables):
    with served(tables) as address, visiting(context, address) as visitor:
        yield visitor


def log_evidence(table, hidden=()):
    """Compute log p of the entries of the row that are there and not hidden."""
    x = table.part.x[ROW : ROW + 1].clone()
    x[:, [columns_of(table).place_of(name) for name in hidden]] = torch.nan
    exact = infer.grid(table.model, x.nan_to_num(), ~x.isnan(), generator=stream(0, "test"))
    return fixed(exact.log_evidence, 2)


def expect_evidence(visitor, text):
    expect(visitor.page.locator(".evidence .number")).to_have_text(text)


def test_hidden_entries_leave_the_evidence(visitor, tables):
    visitor.open(f"table/table?row={ROW}")
    expect_evidence(visitor, log_evidence(tables["table"]))
    seen = visitor.page.get_by_label("age is seen")
    seen.focus()
    visitor.page.keyboard.press("Space")
    expect(seen).not_to_be_checked()
    expect_evidence(visitor, log_evidence(tables["table"], hidden=["age"]))
    visitor.page.reload()
    expect_evidence(visitor, log_evidence(tables["table"], hidden=["age"]))
    visitor.page.get_by_role("button", name="Hide all").click()
    expect_evidence(visitor, fixed(torch.zeros(1), 2))
    visitor.page.go_back()
    expect_evidence(visitor, log_evidence(tables["table"], hidden=["age"]))


def test_every_entry_has_its_density_in_words(visitor, tables):
    visitor.open(f"table/table?row={ROW}")
    columns = columns_of(tables["table"]).columns
    charts = visitor.page.locator(".entry")
    expect(charts).to_have_count(len(columns))
    row = columns_of(tables["table"]).entries(tables["table"].part.x)[ROW]
    for chart, column, entry in zip(charts.all(), columns, row, strict=True):
        expect(chart.locator(".entry-name")).to_have_text(column.name)
        missing = entry is None or (isinstance(entry, float) and math.isnan(entry))
        surprise = chart.get_by_text("surprise")
        expect(surprise).to_have_count(0 if missing else 1)


@pytest.mark.parametrize("name", ["table", "vectors", "bits"])
def test_tables_and_vectors_are_drawn_on_narrow_screens(visitor, name):
    visitor.page.set_viewport_size({"width": 360, "height": 800})
    visitor.open(f"{name}/table?row={ROW}")
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 360
    assert visitor.page.locator(".problem:visible").count() == 0
    assert visitor.page.locator("main canvas:visible").count() > 5
    visitor.page.evaluate(AXE)
    assert visitor.page.evaluate(BREACHES, None) == []
