"""Whether anything is executed, or written elsewhere, while a file is read."""

import site
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType
from typing import Any

import elboroom

_RUNNING = {
    *("os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system"),
    *("subprocess.Popen", "pickle.find_class", "ctypes.dlopen", "socket.connect", "marshal.loads"),
}
_INSTALLED = (
    *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib")),
    *site.getsitepackages(),
    str(Path(elboroom.__file__).parents[1]),
    str(Path(__file__).parent),
    "<frozen",
)
_seen: list[str] | None = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _seen is None:
        return
    running = event in _RUNNING and not _is_import()
    if running or (event == "exec" and not _is_installed(arguments[0])):
        _seen.append(f"{event} {arguments!r:.100}")


def _is_import() -> bool:
    """Whether a module is being imported, whose code was cached by its own installation."""
    frame = sys._getframe(2)
    return frame.f_code.co_filename.startswith("<frozen importlib")


def _is_installed(code: CodeType) -> bool:
    """Whether it is that of an installed module, which is being imported."""
    return code.co_filename.startswith(_INSTALLED)


sys.addaudithook(_hook)


@contextmanager
def executions() -> Iterator[list[str]]:
    """Yield what is executed within the context, but for imports of what is installed."""
    global _seen
    _seen = found = list[str]()
    try:
        yield found
    finally:
        _seen = None
