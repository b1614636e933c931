"""Fifty clients that ask for completions at once, and what the server makes of them."""

import http.client
import json
import math
import random
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from statistics import quantiles
from urllib.parse import urlsplit

from benchmarks.results import Row

_CLIENTS = 50
_BODIES = 8  # of each client, made before it asks: making one takes as long as refusing it
_ACCEPTED, _REFUSED = 200, 429
_MEBIBYTE = 2**20


@dataclass(frozen=True)
class Answer:
    """The answer to a request: its status, and the seconds until it was read."""

    status: int
    seconds: float


def rows(pid: int, address: str, run: str, *, seconds: float) -> Iterator[Row]:
    """Yield what clients found in some seconds, and the memory of the server.

    Args:
        pid: the process of the server.
        address: its address.
        run: the id of a run.
        seconds: how long the clients ask.
    """
    ask_together(address, run, seconds / 10)  # the first requests take memory that stays
    before = _memory(pid)
    answers = ask_together(address, run, seconds)
    after = _memory(pid)
    yield from rows_of(answers, seconds)
    yield Row("memory of the server before", [before / _MEBIBYTE], "MiB")
    yield Row("memory of the server after, of that before", [100 * after / before], "%", 105.0)


def rows_of(answers: list[Answer], seconds: float) -> Iterator[Row]:
    """Yield the times and the statuses of answers that were asked for in some seconds."""
    of = f"{_CLIENTS} clients, {seconds:g} s"
    accepted = [1000 * one.seconds for one in answers if one.status == _ACCEPTED]
    refused = [one for one in answers if one.status == _REFUSED]
    others = len(answers) - len(accepted) - len(refused)
    yield Row(f"{of}: accepted requests", accepted, "ms")
    yield Row(f"{of}: accepted requests, 99th percentile", [_last(accepted)], "ms", 500.0)
    yield Row(f"{of}: accepted", [len(accepted) / seconds], "requests per second")
    yield Row(f"{of}: refused with 429", [len(refused) / seconds], "requests per second")
    yield Row(f"{of}: answers with another status", [float(others)], "", 0.0)


def _last(times: list[float]) -> float:
    return quantiles(times, n=100)[-1]


def ask_together(address: str, run: str, seconds: float) -> list[Answer]:
    """Let all clients ask for some seconds, each as soon as it may."""
    values, end = _values(address, run), time.monotonic() + seconds
    with ThreadPoolExecutor(_CLIENTS) as pool:
        found = pool.map(lambda client: _ask(address, run, values, client, end), range(_CLIENTS))
        return [answer for answers in found for answer in answers]


def _ask(address: str, run: str, values: int, client: int, end: float) -> list[Answer]:
    rng, answers = random.Random(client), list[Answer]()
    bodies = cycle([_body(values, rng) for _ in range(_BODIES)])
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    while time.monotonic() < end:
        answer, pause = _complete(connection, run, next(bodies))
        answers.append(answer)
        time.sleep(pause)
    connection.close()
    return answers


def _values(address: str, run: str) -> int:
    """Return how many values a row has."""
    with urllib.request.urlopen(f"{address}api/runs/{run}") as answer:
        return math.prod(json.load(answer)["event_shape"])


def _body(values: int, rng: random.Random) -> str:
    """Return the question of a random picture of which a random half is seen."""
    x, seen = ([rng.randrange(2) for _ in range(values)] for _ in range(2))
    return json.dumps({"x": x, "seen": seen})


def _complete(connection: http.client.HTTPConnection, run: str, body: str) -> tuple[Answer, float]:
    """Ask for a completion, and return the seconds to wait before the next as well."""
    clock = time.perf_counter()
    connection.request("POST", f"/api/runs/{run}/complete", body)
    answer = connection.getresponse()
    answer.read()
    seconds = time.perf_counter() - clock
    return Answer(answer.status, seconds), float(answer.headers.get("Retry-After", 0))


def _memory(pid: int) -> float:
    """Return the resident memory of a process in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    kibibytes = next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1]
    return 1024.0 * int(kibibytes)
