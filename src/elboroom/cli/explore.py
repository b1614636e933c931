"""`elboroom explore`."""

import re
from collections import Counter
from collections.abc import Container, Sequence
from pathlib import Path

from elboroom.cli.explorer_extra import explorer_extra
from elboroom.cli.signals import Interrupted
from elboroom.cli.terminal import plain_console
from elboroom.config import ExploreConfig
from elboroom.runs.run import Run

_NOT_IN_KEYS = re.compile(r"[^A-Za-z0-9._-]+")


def explore(runs: Sequence[Run], config: ExploreConfig, *, best: bool) -> None:
    """Open runs, and serve the page until Ctrl-C.

    Raises:
        UsageError: if the libraries of the server are not installed.
    """
    with explorer_extra("the explorer cannot start"):
        from elboroom.explorer import ExploredRun, listen, serve
    listener, explored = listen(config.port), dict[str, ExploredRun]()
    for run, name in zip(runs, _names([run.path for run in runs]), strict=True):
        data = None if explored else config.data
        key = _key(run.path, explored)
        explored[key] = ExploredRun.open(key, run, best=best, data=data, name=name)
    try:
        serve(explored, listener, browser=config.browser, on_start=_announce)
    except Interrupted as end:
        if not end.by_user:
            raise


def _announce(address: str) -> None:
    plain_console().print(f"open {address}\nCtrl-C ends it")


def _names(folders: Sequence[Path]) -> list[str]:
    """Return the ends of paths that tell them apart: the names of the folders, if they differ."""
    parts = [folder.absolute().parts for folder in folders]

    def end(of: tuple[str, ...], length: int) -> str:
        return "/".join(of[-length:])

    longest = max(map(len, parts))
    counts = [Counter(end(of, length) for of in set(parts)) for length in range(1, longest + 1)]
    return [
        next(end(of, n) for n, count in enumerate(counts, 1) if count[end(of, n)] == 1)
        for of in parts
    ]


def _key(folder: Path, taken: Container[str]) -> str:
    """Return the id of a run: the name of its folder, with a number if another has it."""
    name = _NOT_IN_KEYS.sub("-", folder.absolute().name).strip("-.") or "run"
    names = (name, *(f"{name}-{number}" for number in range(2, 1_000)))
    return next(one for one in names if one not in taken)
