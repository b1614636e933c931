"""The web application: the page, its files, and the JSON interface."""

import re
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from elboroom import __version__
from elboroom.errors import ElboroomError
from elboroom.explorer.api.endpoints import ENDPOINTS, Endpoint, KnownRun, Runs, is_slow
from elboroom.explorer.api.openapi import describe_interface
from elboroom.explorer.explored_run import ExploredRun
from elboroom.explorer.page_files import KINDS, PAGE
from elboroom.explorer.server.failures import failed, failed_by
from elboroom.explorer.server.lane import BusyError, Lane
from elboroom.explorer.server.security import OwnSiteOnly, TooLargeError

_FILE = re.compile(r"([a-z_]+/)?[a-z_]+\.(html|js|css|svg)")
_NUMBER = re.compile(r"[0-9]{1,9}")

Explored = Mapping[str, ExploredRun]
Answer = Callable[[Request], Awaitable[Response]]


def application(explored: Explored, port: int) -> Starlette:
    """Make the application.

    Args:
        explored: the runs by their ids.
        port: the port that it is served at, which is part of every Host header.
    """
    quick = Lane("quick", most=4, wait=0.2, seconds=30)
    slow = Lane("slow", most=2, wait=60, seconds=120)
    listed = Runs([KnownRun(key, one.name) for key, one in explored.items()], __version__)
    routes = [
        Route("/", _page_file),
        Route("/page/{file:path}", _page_file),
        Route("/openapi.json", _fixed(describe_interface())),
        Route("/api/runs", _fixed(listed)),
        Route("/api/runs/{run}/figures/{name}.png", _figure(explored, quick)),
    ]
    for endpoint in ENDPOINTS:
        answer = _answer(endpoint, explored, quick, slow)
        path = f"/api/runs/{{run}}{endpoint.path}"
        routes.append(Route(path, answer, methods=[endpoint.method]))
    hosts = [f"{name}:{port}" for name in ("127.0.0.1", "localhost")]
    return Starlette(
        routes=routes,
        middleware=[Middleware(OwnSiteOnly, hosts=hosts)],
        exception_handlers=_HANDLERS,
        lifespan=_closing(quick, slow),
    )


def _closing(*lanes: Lane) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        for lane in lanes:
            lane.close()

    return lifespan


async def _page_file(request: Request) -> Response:
    """Return a file of the page; without a name the page itself."""
    name = request.path_params.get("file", "index.html")
    path = PAGE / name
    if not _FILE.fullmatch(name) or not path.is_file():
        raise HTTPException(404)
    return Response(path.read_bytes(), media_type=KINDS[name.rpartition(".")[2]])


def _fixed(content: Any) -> Answer:
    encoded = msgspec.json.encode(content)

    async def answer(request: Request) -> Response:
        return _json(encoded)

    return answer


def _figure(explored: Explored, lane: Lane) -> Answer:
    async def answer(request: Request) -> Response:
        figures = _chosen(explored, request).run.results.figures
        path = (await lane.run(figures)).get(request.path_params["name"])
        if path is None:
            raise HTTPException(404)
        return Response(await lane.run(path.read_bytes), media_type="image/png")

    return answer


def _answer(endpoint: Endpoint, explored: Explored, quick: Lane, slow: Lane) -> Answer:
    async def answer(request: Request) -> Response:
        chosen, parts = _chosen(explored, request), _parts(request)
        asked = await _asked(endpoint, request)
        lane = slow if is_slow(chosen, asked) else quick
        return _json(
            await lane.run(lambda: msgspec.json.encode(endpoint.call(chosen, asked, **parts)))
        )

    return answer


def _chosen(explored: Explored, request: Request) -> ExploredRun:
    if request.path_params["run"] not in explored:
        raise HTTPException(404)
    return explored[request.path_params["run"]]


def _parts(request: Request) -> dict[str, int]:
    """Return the numbers in the path behind the run."""
    parts = {name: part for name, part in request.path_params.items() if name != "run"}
    if not all(_NUMBER.fullmatch(part) for part in parts.values()):
        raise HTTPException(404)
    return {name: int(part) for name, part in parts.items()}


async def _asked(endpoint: Endpoint, request: Request) -> Any:
    """Read the request from the query, or from the body.

    Raises:
        msgspec.DecodeError: if it does not follow the schema.
    """
    if endpoint.method == "POST":
        return msgspec.json.decode(await request.body(), type=endpoint.takes)
    query = request.query_params.multi_items()
    if len(dict(query)) < len(query):
        raise msgspec.ValidationError("a parameter is given twice")
    return msgspec.convert(dict(query), endpoint.takes, strict=False)


def _json(encoded: bytes) -> Response:
    return Response(encoded, media_type="application/json")


def _not_found(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        refused = failed(405, "this method is not allowed here", f"found {request.method}")
        refused.headers.update(error.headers or {})  # Allow, which names those that are
        return refused
    return failed(404, "there is nothing here", "no such page, run, row or figure is served")


def _malformed(request: Request, error: Exception) -> Response:
    return failed(400, "the request does not follow its schema", str(error))


def _unfit(request: Request, error: Exception) -> Response:
    assert isinstance(error, ElboroomError)
    return failed_by(error, 422)


def _too_large(request: Request, error: Exception) -> Response:
    return failed(413, "the body is too large", "expected 1 MB at most", "send less at once")


def _busy(request: Request, error: Exception) -> Response:
    why = "as many requests as are let in are waiting already"
    return failed(429, "the model is busy", why, "try again in a second")


def _late(request: Request, error: Exception) -> Response:
    why = "the model did not answer in time"
    return failed(504, "the request was given up", why, "ask for less, or another method")


def _broken(request: Request, error: Exception) -> Response:
    traceback.print_exception(error)
    return failed(500, "the explorer failed", f"{type(error).__name__}", "see the terminal")


_HANDLERS: dict[Any, Callable[[Request, Exception], Response]] = {
    HTTPException: _not_found,
    msgspec.DecodeError: _malformed,
    ElboroomError: _unfit,
    TooLargeError: _too_large,
    BusyError: _busy,
    TimeoutError: _late,
    Exception: _broken,
}
