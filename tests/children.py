"""Command lines in processes that can be killed, forked from one that has PyTorch already."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from elboroom.cli import main
from elboroom.runs import Run

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["elboroom.cli", "elboroom.training_commands"])
CALLS = ("mkdir", "fsync", "replace", "unlink", "rmdir")
"""Of the system, in which a save can be cut."""


def start(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    child = _CONTEXT.Process(target=target, args=arguments)
    child.start()
    return child


def end(child: BaseProcess) -> int:
    """The exit code of `child`; negative is the signal that killed it."""
    child.join(60)
    code = child.exitcode
    assert code is not None
    return code


def elboroom(log: Path, arguments: list[str], dies_in: int = 0, torn: bool = False) -> None:
    """A command line whose stderr goes to `log`, and which may die as in `die_in`."""
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    if dies_in:
        die_in(dies_in, torn=torn)
    main(arguments)


def die_in(call: int, *, torn: bool) -> None:
    """From now on the `call`-th call of the system is preceded by kill -9.

    Args:
        call: counts those of `CALLS`.
        torn: a file that was about to be synced lacks its last byte.
    """
    left = call

    def patched(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                if torn and name == "fsync":
                    _tear(arguments[0])
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)

        return counted

    for name in CALLS:
        setattr(os, name, patched(name))


def _tear(descriptor: int) -> None:
    path = Path(f"/proc/self/fd/{descriptor}").resolve()
    if path.is_file() and path.stat().st_size:
        os.truncate(path, path.stat().st_size - 1)


def hold(run: Path, holding: Path) -> None:
    """Hold the lock of `run` until killed; `holding` is there once it is held."""
    with Run(run).locked():
        holding.touch()
        signal.pause()
