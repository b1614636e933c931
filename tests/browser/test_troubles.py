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


@pytest.mark.parametrize(
    ("route", "words"),
    [
        ("nobody/map", "There is no run nobody here"),
        ("plane/complete?method=magic", "the request does not follow its schema"),
        ("plane/map?row=99", "there is no row 99"),
        ("space/complete?method=grid", "the method grid is not offered for this model"),
    ],
)
def test_an_address_that_leads_nowhere_is_explained(visitor, route, words):
    visitor.page.goto(f"{visitor.address}#/{route}")
    expect(notice(visitor).filter(visible=True)).to_contain_text(words, ignore_case=True)
    assert all("status of 4" in problem for problem in visitor.problems)
    visitor.problems.clear()
