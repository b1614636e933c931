"""An interactive shell in a terminal of its own, in which a test presses Tab."""

import os
import re
import select
import subprocess
import time
from collections.abc import Sequence
from types import TracebackType

_ESCAPES = re.compile(r"\x1b\[[?\d;]*[a-zA-Z]|\x07")
_PRINTED = re.compile(r"\r\n<(.*)>\r\n")
_HOME, _END, _PROMPT, _SECONDS = "\x01", "\x05", "$> ", 20
_PLAIN = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"]}


class Shell:
    """A shell without a start file.

    Args:
        name: bash or zsh.
        lines: run before anything is typed.
    """

    def __init__(self, name: str, lines: Sequence[str]) -> None:
        import pty  # Windows has neither
        import termios

        self._terminal, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, 200))
        environment = {**os.environ, "TERM": "dumb", "PS1": _PROMPT}
        self._process = subprocess.Popen(
            [name, *_PLAIN[name]],
            **dict.fromkeys(("stdin", "stdout", "stderr"), theirs),
            env=environment,
            start_new_session=True,
        )
        os.close(theirs)
        self._read_until(_PROMPT)
        for number, line in enumerate(lines):
            os.write(self._terminal, f"{line}; echo ready''{number}\n".encode())
            self._read_until(f"ready{number}", _PROMPT)

    def __enter__(self) -> "Shell":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)

    def completed(self, typed: str) -> str:
        """Type the start of a line, press Tab, and return the line that results.

        The space or the slash at its end is left out: zsh takes it away before another key.
        """
        print_it = f"{typed}\t{_HOME}echo '<{_END}>'\n"
        os.write(self._terminal, print_it.encode())
        found = _PRINTED.search(self._read_until("\r\n<", ">\r\n", _PROMPT))
        assert found is not None
        return found[1].rstrip(" /")

    def _read_until(self, *texts: str) -> str:
        """Return what the shell has written, once that contains the texts in this order."""
        order = re.compile(".*".join(map(re.escape, texts)), re.DOTALL)
        seen, end = b"", time.monotonic() + _SECONDS
        while time.monotonic() < end:
            if select.select([self._terminal], [], [], 0.1)[0]:
                seen += os.read(self._terminal, 1 << 16)
                written = _ESCAPES.sub("", seen.decode(errors="replace"))
                if order.search(written):
                    return written
        raise AssertionError(f"no {texts} in {seen!r}")
