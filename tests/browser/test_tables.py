"""The view of tables: entries that are hidden, changed and paired, and numbers of the library."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from playwright.sync_api import expect

from elboroom import infer
from elboroom.explorer import ExploredRun
from elboroom.explorer.columns import columns_of
from elboroom.randomness import stream
from elboroom.runs.run import Run
from tests.browser.conftest import visiting
from tests.explorer.asking import array
from tests.support.axe import AXE, BREACHES
from tests.support.brief_run import brief_run
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


@pytest.mark.parametrize(
    "name",
    ["table", *(pytest.param(other, marks=pytest.mark.full) for other in ("vectors", "bits"))],
)
def test_tables_and_vectors_are_drawn_on_narrow_screens(visitor, name):
    visitor.page.set_viewport_size({"width": 360, "height": 800})
    visitor.open(f"{name}/table?row={ROW}")
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 360
    assert visitor.page.locator(".problem:visible").count() == 0
    assert visitor.page.locator("main canvas:visible").count() > 5
    visitor.page.evaluate(AXE)
    assert visitor.page.evaluate(BREACHES, None) == []


TICKS = """async ([low, high]) => {
  const { ColumnScale } = await import(new URL("table/column_scale.js", SCRIPTS));
  const column = { type: "real", levels: [], decimals: null };
  const scale = new ColumnScale(column, { kind: "linear", points: [low, high] }, [0, 300]);
  return scale.ticks(4).map(({ text }) => text);
}""".replace("SCRIPTS", "document.querySelector('script[type=module]').src")


def test_ticks_have_the_digits_of_their_step(visitor):
    visitor.open("table/table")
    for ends, texts in [
        ((-1e-3, 1e-3), ["−0.0010", "−0.0005", "0.0000", "0.0005", "0.0010"]),
        ((-5e-6, 5e-6), ["−5.000e−6", "0", "5.000e−6"]),
        ((-40_000, 0), ["−40,000", "−30,000", "−20,000", "−10,000", "0"]),
    ]:
        assert visitor.page.evaluate(TICKS, ends) == texts


@pytest.mark.full
def test_a_long_name_of_a_column_widens_nothing(context, tmp_path):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(100, 2)), columns=["n" * 200, "b"])
    frame.to_csv(tmp_path / "long.csv", index=False)
    brief_run(tmp_path / "run", tmp_path / "long.csv", latents=2)
    table = ExploredRun.open("long", Run(tmp_path / "run"), best=False)
    with served({"long": table}) as address, visiting(context, address) as visitor:
        for width in (1280, 700, 320):
            visitor.page.set_viewport_size({"width": width, "height": 800})
            visitor.open("long/table")
            assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width


def test_one_column_has_no_pair(context, tmp_path):
    np.savetxt(
        tmp_path / "one.csv", np.random.default_rng(0).normal(size=100), header="a", comments=""
    )
    brief_run(tmp_path / "run", tmp_path / "one.csv", latents=2)
    table = ExploredRun.open("one", Run(tmp_path / "run"), best=False)
    with served({"one": table}) as address, visiting(context, address) as visitor:
        visitor.open("one/table")
        expect(visitor.page.get_by_role("heading", name="Entries")).to_be_visible()
        expect(visitor.page.get_by_role("heading", name="Two columns together")).to_be_hidden()


@pytest.mark.full
def test_a_column_that_is_not_there_is_taken_out_of_the_address(visitor):
    visitor.open("table/table?across=99&up=abc&set=0:%25&row=4")
    expect(visitor.page.get_by_role("alert")).to_contain_text("a whole number from 0 to 5")
    visitor.expect_route(r"table/table\?row=4")
