"""Command lines in processes that can be killed, forked from one that has loaded PyTorch."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from unittest.mock import patch

from elboroom.cli.main import main
from elboroom.runs import checkpoints
from elboroom.runs.run import Run
from tests.drills import careless
from tests.drills.faults import Disk
from tests.support.repository import ROOT

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["elboroom.cli.main", "elboroom.cli.train", "tests.drills.children"]
)
CALLS = ("mkdir", "fsync", "replace", "unlink", "rmdir")
"""System calls in which a save can be cut short."""


def start(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    child = _CONTEXT.Process(target=target, args=arguments)
    # The server, which the first child starts, does not inherit sys.path. Such
    # trainings may end below their marginals, or overfit, and warn of it.
    variables = {
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        "PYTHONWARNINGS": "ignore:the test ELBO,ignore:overfitting",
    }
    with patch.dict(os.environ, variables):
        child.start()
    return child


def end(child: BaseProcess) -> int:
    """Wait for `child` and return its exit code, or minus the signal that killed it."""
    child.join(60)
    code = child.exitcode
    assert code is not None
    return code


def elboroom(log: Path, arguments: list[str]) -> None:
    """Run a command line whose stderr goes to `log`."""
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    main(arguments)


def dying(log: Path, arguments: list[str], call: int, saving: bool, torn: bool) -> None:
    """Run a command line that is killed as in `die_in`."""
    with die_in(call, saving=saving, torn=torn):
        elboroom(log, arguments)


def dying_in_place(*arguments: Any) -> None:
    """Run a command line that is killed, with a writer that renames nothing."""
    with careless.in_place():
        dying(*arguments)


def failing_silently(*arguments: Any) -> None:
    """Run a command line on a failing disk, with a writer that hides errors."""
    with careless.silent():
        failing(*arguments)


def failing(log: Path, arguments: list[str], disk: Disk) -> None:
    """Run a command line on a disk that fails."""
    with disk.mounted():
        elboroom(log, arguments)


@contextmanager
def die_in(call: int, *, saving: bool = False, torn: bool = False) -> Iterator[None]:
    """Kill this process by SIGKILL before the system call number `call` in this block.

    Args:
        call: number of the call, among those in `CALLS`.
        saving: count only calls that write a checkpoint.
        torn: count only syncs of files, and cut the last byte off the file.
    """
    left, counting, write = call, not saving, checkpoints.write

    def counted_write(*arguments: Any) -> Path:
        nonlocal counting
        counting = True
        path = write(*arguments)
        counting = not saving
        return path

    def deadly(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            file = _file(arguments[0]) if torn and name == "fsync" else None
            left -= counting and (file is not None or not torn)
            if left == 0:
                if file is not None:
                    os.truncate(file, max(0, file.stat().st_size - 1))
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)

        return counted

    with (
        patch.object(checkpoints, "write", counted_write),
        patch.multiple(os, **{name: deadly(name) for name in CALLS}),
    ):
        yield


def _file(descriptor: int) -> Path | None:
    """Return the path of an open file; None for a folder."""
    path = Path(f"/proc/self/fd/{descriptor}").resolve()
    return path if path.is_file() else None


def hold(run: Path, holding: Path) -> None:
    """Hold the lock of `run` until killed; create `holding` once it is held."""
    with Run(run).locked():
        holding.touch()
        signal.pause()
