"""Troubles: a server that is lost or busy, and addresses that lead nowhere."""

import pytest
from playwright.sync_api import expect

from tests.support.served import served
from tests.support.visitor import Visitor

SAMPLES = "**/api/runs/*/samples*"


def notice(visitor):
    return visitor.page.get_by_role("alert")


def test_a_lost_server_is_told_of(context, explored):
    with served({"plane": explored["plane"]}) as address:
        visitor = Visitor(context.new_page(), address)
        visitor.open("plane/samples")
    visitor.page.get_by_role("button", name="New samples").click()
    expect(notice(visitor)).to_contain_text("The server does not answer")
    expect(notice(visitor)).to_contain_text(
        "start elboroom explore again".replace("elboroom explore", "`elboroom explore`")
    )
    assert all("ERR_CONNECTION" in problem for problem in visitor.problems)


@pytest.mark.full
def test_a_notice_goes_once_the_server_answers_again(visitor):
    visitor.open("plane/samples")
    visitor.page.route(SAMPLES, lambda route: route.abort())
    visitor.page.get_by_role("button", name="New samples").click()
    expect(notice(visitor)).to_be_visible()
    visitor.page.unroute(SAMPLES)
    visitor.page.get_by_role("button", name="New samples").click()
    expect(notice(visitor)).to_be_hidden()
    assert all("ERR_FAILED" in problem for problem in visitor.problems)
    visitor.problems.clear()


def test_a_busy_server_is_asked_again(visitor):
    answered = []

    def refuse_once(route):
        answered.append(route)
        if len(answered) > 1:
            return route.continue_()
        words = {"what": "the model is busy", "why": "", "fix": ""}
        return route.fulfill(status=429, headers={"Retry-After": "1"}, json={"error": words})

    visitor.page.route(SAMPLES, refuse_once)
    visitor.page.goto(f"{visitor.address}#/plane/samples")
    expect(visitor.page.locator("#wait")).to_have_text(
        "The server is busy; asking again in 1.00 s."
    )
    visitor.rest()
    expect(visitor.page.locator("#wait")).to_be_empty()
    expect(visitor.page.get_by_role("img", name="24 samples")).to_be_visible()
    assert notice(visitor).count() == 0
    assert len(answered) == 2


def test_a_run_that_does_not_exist_is_told_of(visitor):
    visitor.page.goto(f"{visitor.address}#/nobody/map")
    expect(notice(visitor).filter(visible=True)).to_contain_text("There is no run nobody here")


FEW = [
    ("plane/map?row=99", "plane/map", "a whole number from 0 to 19"),
    ("space/complete?method=grid", "space/complete", "one of laplace, svi"),
    ("plane/interpolate?ends=1;2;3", "plane/interpolate", "2 or 4 times"),
    ("plane/run?compare=nobody", "plane/run", "one of space, ladder"),
]
MORE = [
    ("plane/map?axes=1,1", "plane/map", "0,1, or two latents from 0 to 1"),
    ("plane/map?at=1&span=-5", "plane/map", "two numbers"),
    ("plane/complete?method=magic&row=2", "plane/complete\\?row=2", "one of grid, laplace"),
    ("plane/complete?mask=__proto__", "plane/complete", "one of all, none, top"),
    ("plane/interpolate?across=1.5", "plane/interpolate", "a whole number from 0 to 24"),
    ("plane/samples?seed=abc&count=999", "plane/samples", "a whole number from 1 to 100"),
]


@pytest.mark.parametrize(
    ("route", "shown", "expected"),
    [*FEW, *(pytest.param(*case, marks=pytest.mark.full) for case in MORE)],
)
def test_what_an_address_cannot_say_is_explained_and_taken_out(visitor, route, shown, expected):
    visitor.open(route)
    expect(notice(visitor).filter(visible=True)).to_contain_text(f"expected {expected}")
    visitor.expect_route(shown)
    assert visitor.page.get_by_role("alert").filter(visible=True).count() == 1


@pytest.mark.full
def test_a_view_that_a_run_does_not_have_is_taken_out_of_the_address(visitor):
    visitor.open("plane/table?row=3")
    visitor.expect_route("plane/map")
    expect(visitor.page.locator("h2")).to_have_text("Latent map")


def test_going_back_while_a_run_is_opened_returns_to_the_run_before(visitor):
    held = []
    visitor.open("plane/samples")
    visitor.page.route("**/api/runs/space", lambda route: held.append(route))
    choice = visitor.page.get_by_label("Run", exact=True)
    choice.select_option("space")
    expect(visitor.page.get_by_text("Opening the run")).to_be_visible()
    visitor.page.go_back()
    visitor.rest()
    expect(choice).to_have_value("plane")
    choice.select_option("conv")
    visitor.rest()
    held[0].abort()
    visitor.page.wait_for_timeout(200)
    expect(choice).to_have_value("conv")
    expect(notice(visitor).filter(visible=True)).to_have_count(0)
    assert all("ERR_FAILED" in problem for problem in visitor.problems)
    visitor.problems.clear()


@pytest.mark.full
def test_a_number_that_is_no_row_is_refused_where_it_is_typed(visitor):
    visitor.open("plane/complete?row=5")
    number = visitor.page.get_by_label("Test image")
    number.fill("99")
    visitor.page.keyboard.press("Enter")
    assert not number.evaluate("input => input.checkValidity()")
    visitor.expect_route(r"plane/complete\?row=5")
    number.fill("07")
    visitor.page.keyboard.press("Enter")
    visitor.expect_route(r"plane/complete\?row=7")
