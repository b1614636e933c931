"""A kernel of Jupyter that runs cells as a notebook does, and is interrupted as by its button."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

import elboroom

_LONGEST = 60.0  # seconds of a cell


@dataclass
class Cell:
    """What a cell has put out.

    Attributes:
        shown: the MIME bundles that it displayed, the last value included.
        updates: the bundles that replaced one of them.
        text: what it printed.
        error: the name of the class of its error, and its message; None without one.
    """

    shown: list[dict[str, str]] = field(default_factory=list)
    updates: list[dict[str, str]] = field(default_factory=list)
    text: str = ""
    error: tuple[str, str] | None = None

    def take(self, kind: str, content: dict[str, Any]) -> None:
        """Take a message of the kernel."""
        if kind in ("display_data", "execute_result"):
            self.shown.append(content["data"])
        elif kind == "update_display_data":
            self.updates.append(content["data"])
        elif kind == "stream":
            self.text += content["text"]
        elif kind == "error":
            self.error = content["ename"], content["evalue"]


class Notebook:
    """A kernel that is running."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self._manager, self._client = manager, client

    def run(self, code: str, interrupt: Callable[[Cell], bool] | None = None) -> Cell:
        """Run a cell, and interrupt it as soon as its output satisfies a condition."""
        sent, found = self._client.execute(code), Cell()
        end = time.monotonic() + _LONGEST
        while time.monotonic() < end:
            try:
                message = self._client.get_iopub_msg(timeout=1)
            except Empty:
                continue
            if message["parent_header"].get("msg_id") != sent:
                continue
            content = message["content"]
            if content.get("execution_state") == "idle":
                return found
            found.take(message["msg_type"], content)
            if interrupt is not None and interrupt(found):
                interrupt = self._manager.interrupt_kernel()
        raise AssertionError(f"the cell did not end: {found}")


@contextmanager
def notebook(folder: Path) -> Iterator[Notebook]:
    """Start a kernel in a folder, and end it after this block."""
    source = str(Path(elboroom.__file__).parent.parent)
    own = {"PYTHONPATH": source, "IPYTHONDIR": str(folder / "ipython"), "OMP_NUM_THREADS": "1"}
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(folder), env=os.environ | own)
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=_LONGEST)
        yield Notebook(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()
