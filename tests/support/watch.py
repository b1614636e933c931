"""A watch for code that is executed, or files that are changed, while a file is read."""

import os
import site
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any

import elboroom
from elboroom.data.formats import picture_process

_RUNNING = {
    *("os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system"),
    *("subprocess.Popen", "pickle.find_class", "ctypes.dlopen", "socket.connect", "marshal.loads"),
}
_CHANGING = {
    **dict.fromkeys(("open", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.truncate"), 1),
    **dict.fromkeys(("os.rename", "os.symlink", "os.link"), 2),
}
"""Audit events, and the number of paths among their first arguments."""
_TO_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_INSTALLED = (
    *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib")),
    *site.getsitepackages(),
    str(Path(elboroom.__file__).parents[1]),
    str(Path(__file__).parent),
)


@dataclass
class _Watch:
    """The events within a context.

    Attributes:
        place: the folder in which files may change.
        found: the events that are not allowed.
    """

    place: Path
    found: list[str] = field(default_factory=list)


_watch: _Watch | None = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _watch is None:
        return
    ran = event in _RUNNING and not _is_import() and not _is_reader(event, arguments)
    ran = ran or (event == "exec" and not _is_installed(arguments[0]))
    paths = _changed(event, arguments)
    if ran or not all(_is_within(path, _watch.place) for path in paths):
        _watch.found.append(f"{event} {arguments!r:.100}")


def _is_import() -> bool:
    """Return whether the event comes from importing a module, whose code is cached."""
    frame = sys._getframe(2)
    return frame.f_code.co_filename.startswith("<frozen importlib")


def _is_reader(event: str, arguments: tuple[Any, ...]) -> bool:
    """Return whether the event starts a process that reads pictures."""
    return event == "subprocess.Popen" and picture_process.PROGRAM in arguments[1]


def _is_installed(code: CodeType) -> bool:
    """Return whether the code belongs to an installed module, which is being imported."""
    return code.co_filename.startswith((*_INSTALLED, "<frozen"))


def _changed(event: str, arguments: tuple[Any, ...]) -> list[Any]:
    """Return the paths that an event changes, except files that are already open."""
    if event == "open" and not arguments[2] & _TO_WRITE:
        return []
    paths = arguments[: _CHANGING.get(event, 0)]
    return [p for p in paths if isinstance(p, str | bytes | os.PathLike) and p != os.devnull]


def _is_within(path: Any, place: Path) -> bool:
    return Path(os.path.realpath(os.fsdecode(path))).is_relative_to(os.path.realpath(place))


sys.addaudithook(_hook)


@contextmanager
def misdeeds(place: Path) -> Iterator[list[str]]:
    """Yield the code executed in this block, and the changes outside of the folder `place`.

    Modules may be imported if they are installed.
    """
    global _watch
    before, _watch = set(sys.modules), _Watch(place)
    found = _watch.found
    try:
        yield found
    finally:
        _watch = None
        found += [f"import {name}" for name in set(sys.modules) - before if _is_planted(name)]


def _is_planted(name: str) -> bool:
    """Return whether a module comes from a file that is not installed."""
    file = getattr(sys.modules[name], "__file__", None)
    return file is not None and not file.startswith(_INSTALLED)
