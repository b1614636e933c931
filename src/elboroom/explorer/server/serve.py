"""Serve the application on this machine, and open it in the browser."""

import socket
import webbrowser
from collections.abc import Callable, Mapping

import uvicorn

from elboroom.errors import UsageError
from elboroom.explorer.explored_run import ExploredRun
from elboroom.explorer.server.app import application

HOST = "127.0.0.1"
_MOST_CONNECTIONS = 200
_IDLE_SECONDS = 15


def listen(port: int) -> socket.socket:
    """Return a socket that listens on this machine alone; port 0 takes a free one.

    Raises:
        UsageError: if the port is taken.
    """
    # asyncio sets TCP_NODELAY only where the protocol is named. Without it the body of an answer
    # would wait for the acknowledgement of the headers, 40 ms later.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()  # requests wait from now on, until the application is ready
    except OSError as error:
        listener.close()
        raise UsageError(
            f"port {port} cannot be used", why=str(error), fix="choose another --port, or 0"
        ) from error
    return listener


def serve(
    explored: Mapping[str, ExploredRun],
    listener: socket.socket,
    *,
    browser: bool,
    on_start: Callable[[str], None],
) -> None:
    """Serve until a signal ends it, such as that of Ctrl-C.

    Args:
        explored: the runs by their ids.
        listener: where requests come in, as `listen` returns it.
        browser: open the page in the browser.
        on_start: called with the address of the page.
    """
    port = listener.getsockname()[1]
    server, address = server_of(explored, port), f"http://{HOST}:{port}/"
    on_start(address)
    if browser:
        webbrowser.open(address)
    server.run([listener])


def server_of(explored: Mapping[str, ExploredRun], port: int) -> uvicorn.Server:
    """Return the server of some runs at a port, before it is run."""
    config = uvicorn.Config(
        application(explored, port),
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)
