"""The view of tables: entries that are hidden, changed and paired, and numbers of the library."""

import math

import pytest
import torch
from playwright.sync_api import expect

from elboroom import infer
from elboroom.explorer.columns import columns_of
from elboroom.randomness import stream
from tests.browser.conftest import visiting
from tests.explorer.asking import array
from tests.support.axe import AXE, BREACHES
from tests.support.drawn import ACCENT, coloured, shell
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


def log_evidence(table, hidden=(), age=None):
    """Compute log p of the entries of the row that are there and not hidden, with another age."""
    x = table.part.x[ROW : ROW + 1].clone()
    if age is not None:
        x[:, columns_of(table).place_of("age")] = age
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


def test_a_changed_entry_is_inferred_from_and_kept_in_the_address(visitor, tables):
    visitor.open(f"table/table?row={ROW}")
    visitor.page.get_by_label("age", exact=True).fill("71.5")
    visitor.page.keyboard.press("Enter")
    visitor.expect_route(r"table/table\?row=3&set=0%3A71.5")
    expect_evidence(visitor, log_evidence(tables["table"], age=71.5))
    visitor.page.reload()
    expect_evidence(visitor, log_evidence(tables["table"], age=71.5))
    expect(visitor.page.get_by_label("age", exact=True)).to_have_value("71.5")
    visitor.page.get_by_role("button", name="As in the table").click()
    expect_evidence(visitor, log_evidence(tables["table"]))
    visitor.expect_route(r"table/table\?row=3")


def answer_to(visitor, route):
    """Open a route, and return what the server told it of the entries."""
    with visitor.page.expect_response("**/entries") as found:
        visitor.open(route)
    return found.value.json()


def test_the_bar_below_a_density_is_its_central_interval(visitor):
    age = answer_to(visitor, f"table/table?row={ROW}")["columns"][0]
    assert age["axis"]["kind"] == "linear"
    first, last = age["axis"]["points"][0], age["axis"]["points"][-1]
    tones = visitor.tones(visitor.page.locator(".entry canvas").first)
    (_, height, width), side, below = tones.shape, 8, 24
    low, high = (side + (width - 2 * side) * (v - first) / (last - first) for v in age["interval"])
    (drawn,) = coloured(tones, ACCENT)[height - below + 2].nonzero(as_tuple=True)
    assert (drawn.min(), drawn.max() + 1) == pytest.approx((low, high), abs=1.5)


def test_the_heat_map_of_two_columns_has_the_shape_of_their_density(visitor):
    pair = answer_to(visitor, f"table/table?row={ROW}&across=0&up=1")["pair"]
    log_density = array(pair["log_density"])
    across, up = (torch.tensor(pair[side]["points"]) for side in ("across", "up"))
    assert (pair["across"]["kind"], pair["up"]["kind"]) == ("linear", "logarithmic")
    even = log_density + up.log()[:, None]
    rows, columns = ((even.amax() - even - 1.5).abs() < 1).nonzero().double().unbind(1)
    expected = torch.stack([(columns + 0.5) / len(across), (rows + 0.5) / len(up)], 1)
    tones = visitor.tones(visitor.page.locator(".joint-canvas"))[:, 12:-44, 76:-12]
    found = shell(tones) / torch.tensor([tones.shape[2], tones.shape[1]]) + torch.tensor([0, 1])
    torch.testing.assert_close(found.mean(0), expected.mean(0), atol=0.015, rtol=0)
    torch.testing.assert_close(found.T.cov(), expected.T.cov(), atol=0.002, rtol=0)


@pytest.mark.parametrize("name", ["table", "vectors", "bits"])
def test_tables_and_vectors_are_drawn_on_narrow_screens(visitor, name):
    visitor.page.set_viewport_size({"width": 360, "height": 800})
    visitor.open(f"{name}/table?row={ROW}")
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 360
    assert visitor.page.locator(".problem:visible").count() == 0
    assert visitor.page.locator("main canvas:visible").count() > 5
    visitor.page.evaluate(AXE)
    assert visitor.page.evaluate(BREACHES, None) == []
