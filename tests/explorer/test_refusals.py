"""Requests that are refused: of other sites, malformed, too large, too many, or unfit."""

import asyncio
import threading

import pytest

from elboroom.explorer.api.openapi import describe_interface
from elboroom.explorer.server.lane import BusyError, Lane

HOST = {"Host": "127.0.0.1:8642"}
LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
FOREIGN = [
    {"Host": "evil.example"},
    {"Host": "evil.example:8642"},
    {"Host": "127.0.0.1:80"},
    {"Host": "127.0.0.1"},
    {"Host": "127.0.0.1:8642.evil.example"},
    {"Host": "[::1]:8642"},
    {"Host": ""},
    {**HOST, "Origin": "http://evil.example"},
    {**HOST, "Origin": "https://127.0.0.1:8642"},
    {**HOST, "Origin": "http://127.0.0.1:9000"},
    {**HOST, "Origin": "null"},
    {**HOST, "Sec-Fetch-Site": "cross-site"},
    {**HOST, "Sec-Fetch-Site": "same-site"},
    {**HOST, **LINK},
]
OWN = [
    {},
    {"Host": "localhost:8642"},
    {"Host": "LOCALHOST:8642"},
    {**HOST, "Origin": "http://127.0.0.1:8642", "Sec-Fetch-Site": "same-origin"},
    {**HOST, "Sec-Fetch-Site": "none"},
]
HOSTILE_PATHS = [
    "/page/..%2f..%2fexplored_run.py",
    "/page/..%5c..%5cexplored_run.py",
    "/page/%2e%2e/%2e%2e/explored_run.py",
    "/page//etc/passwd",
    "/page/views/..%2f..%2f..%2fexplored_run.py",
    "/page/views/%2e%2e/main.js",
    "/page/views/",
    "/page/index.html%00.js",
    "/page/explorer.py",
    "/api/runs/..%2f..%2fetc",
    "/api/runs/%2e%2e/map",
    "/api/runs/plane%00/map",
    "/api/runs/PLANE/map",
    "/api/runs/plane/figures/..%2fconfig.toml.png",
    "/api/runs/plane/figures/%2e%2e%2f%2e%2e%2fconfig.png",
    "/api/runs/plane/rows/-1",
    "/api/runs/plane/rows/1e3",
    "/api/runs/plane/rows/٣",
    "/api/runs/plane/rows/99999999999999999999",
    "/config.toml",
    "/.git/config",
]
MALFORMED = [
    ("GET", "/map?axes=0", 400),
    ("GET", "/map?axes=0,0", 422),
    ("GET", "/map?axes=0,7", 422),
    ("GET", "/map?axis=0,1", 400),
    ("GET", "/map?axes=0,1&axes=0,1", 400),
    ("GET", "/manifold?left=0&right=1&bottom=0", 400),
    ("GET", "/manifold?left=0&right=nan&bottom=0&top=1", 400),
    ("GET", "/manifold?left=0&right=1&bottom=0&top=1&side=10000", 400),
    ("GET", "/pictures?rows=1;2", 400),
    ("GET", "/pictures?rows=20", 422),
    ("GET", "/rows/20", 422),
    ("GET", "/samples?count=0", 400),
    ("GET", "/samples?count=1000000", 400),
    ("GET", "/samples?temperature=-1", 400),
    ("GET", "/samples?values=all", 400),
    ("POST", "/map", 405),
    ("DELETE", "/samples", 405),
    ("PUT", "", 405),
]
UNFIT = [
    ("/decode", {}, 422),
    ("/decode", {"z": [[0.0]]}, 422),
    ("/decode", {"z": [[0.0, 0.0]], "points": [[0.0, 0.0]]}, 422),
    ("/decode", {"points": [[0.0]]}, 400),
    ("/decode", {"points": [[0.0, 1e300]]}, 400),
    ("/decode", {"points": [[0.0, 0.0]] * 1000}, 400),
    ("/decode", {"points": [[0.0, 0.0]], "axes": "0,1", "more": 1}, 400),
    ("/complete", {"x": [0.0], "seen": [1]}, 422),
    ("/complete", {"x": [0.5] * 36, "seen": [1] * 36}, 422),
    ("/complete", {"x": [0.0] * 36, "seen": [2] * 36}, 400),
    ("/complete", {"x": [0.0] * 36, "seen": [1] * 36, "method": "magic"}, 400),
    ("/complete", {"x": [0.0] * 36, "seen": [1] * 36, "method": "partial-encoder"}, 422),
    ("/complete", {"x": [0.0] * 36, "seen": [1] * 36, "method": "grid", "refine": False}, 422),
    ("/interpolate", {"ends": [{"row": 0}]}, 400),
    ("/interpolate", {"ends": [{"row": 0}] * 3}, 422),
    ("/interpolate", {"ends": [{"row": 0}, {"row": 99}]}, 422),
    ("/interpolate", {"ends": [{"row": 0}, {}]}, 422),
    ("/interpolate", {"ends": [{"row": 0}, {"row": 1}], "steps": 9999}, 400),
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "HEAD"])
def test_requests_of_other_sites_are_refused(client, headers, method):
    answer = client.request(method, "/api/runs", headers=headers)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("headers", OWN)
def test_requests_of_the_own_page_are_answered(client, headers):
    assert client.get("/api/runs", headers=headers).status_code == 200


def test_a_link_of_another_site_opens_the_page_alone(client):
    assert client.get("/", headers=LINK).status_code == 200
    assert client.get("/api/runs", headers=LINK).status_code == 403


def test_every_answer_has_the_headers_that_protect_the_page(client):
    for path, status in {
        "/": 200,
        "/api/runs": 200,
        "/nothing": 404,
        "/api/runs/none": 404,
    }.items():
        answer = client.get(path)
        assert answer.status_code == status
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; ")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", HOSTILE_PATHS)
def test_paths_lead_nowhere_else(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert set(answer.json()["error"]) == {"what", "why", "fix"}


@pytest.mark.parametrize(("method", "path", "status"), MALFORMED)
def test_malformed_requests_are_refused_in_words(client, method, path, status):
    answer = client.request(method, f"/api/runs/plane{path}")
    assert answer.status_code == status, answer.text
    assert ("allow" in answer.headers) == (status == 405)
    assert all(answer.json()["error"].values())


@pytest.mark.parametrize(("path", "body", "status"), UNFIT)
def test_bodies_that_do_not_fit_are_refused_in_words(client, path, body, status):
    answer = client.post(f"/api/runs/plane{path}", json=body)
    assert answer.status_code == status, answer.text
    assert all(answer.json()["error"].values())


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b'{"x": NaN}', b"[" * 9_000])
def test_a_body_that_is_not_json_is_refused(client, body):
    assert client.post("/api/runs/plane/complete", content=body).status_code == 400


def test_a_body_of_more_than_a_megabyte_is_refused(client):
    def parts():
        for _ in range(12):
            yield b" " * 100_000

    for body in (b" " * 1_200_000, parts()):
        answer = client.post("/api/runs/plane/complete", content=body)
        assert answer.status_code == 413


def test_a_lane_holds_few_and_gives_up_in_time():
    async def crowd():
        lane, gate = Lane("test", most=2, wait=60, seconds=0.05), threading.Event()
        first = asyncio.create_task(lane.run(gate.wait))
        second = asyncio.create_task(lane.run(lambda: "done"))
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await lane.run(lambda: "one too many")
        with pytest.raises(TimeoutError):
            await first
        with pytest.raises(BusyError):  # what was given up is still being worked on
            await lane.run(lambda: "one too many")
        gate.set()
        with pytest.raises(TimeoutError):
            await second
        await asyncio.sleep(0.02)
        assert await lane.run(lambda: "free again") == "free again"
        with pytest.raises(ZeroDivisionError):
            await lane.run(lambda: 1 // 0)
        assert await lane.run(lambda: "and again") == "and again"
        lane.close()

    asyncio.run(crowd())


def test_a_lane_of_long_requests_lets_fewer_wait():
    async def crowd():
        lane, gate = Lane("test", most=4, wait=0.03, seconds=60), threading.Event()
        long = asyncio.create_task(lane.run(gate.wait))
        await asyncio.sleep(0.3)
        gate.set()
        await long  # a fifth of its time is now thought to be usual
        gate.clear()
        waiting = [asyncio.create_task(lane.run(gate.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await lane.run(lambda: "too long to wait for")
        gate.set()
        await asyncio.gather(*waiting)
        for _ in range(30):
            await lane.run(lambda: "short")
        gate.clear()
        waiting = [asyncio.create_task(lane.run(gate.wait)) for _ in range(4)]
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(*waiting)
        lane.close()

    asyncio.run(crowd())


def test_the_description_names_every_endpoint(client):
    described = client.get("/openapi.json").json()
    assert described == describe_interface()
    served = {route.path for route in client.app.routes if route.path.startswith("/api")}
    assert served == set(described["paths"])


@pytest.mark.parametrize("path", ["columns", "table"])
def test_pictures_have_no_columns(client, path):
    answer = client.get(f"/api/runs/plane/{path}")
    assert answer.status_code == 422
    assert answer.json()["error"]["what"] == "the rows of this run have no columns"
