"""The explorer's server, as it is run, on a thread."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from elboroom.explorer import ExploredRun
from elboroom.explorer.server.serve import HOST, listen, server_of


@contextmanager
def served(explored: dict[str, ExploredRun]) -> Iterator[str]:
    """Serve runs on a thread, and give the address."""
    listener = listen(0)
    port = listener.getsockname()[1]
    server = server_of(explored, port)
    thread = Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{port}/"
    finally:
        server.should_exit = True
        thread.join()
