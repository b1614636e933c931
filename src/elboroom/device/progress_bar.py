"""Progress of long work from Python: a bar in the output of a notebook's cell, or in a terminal."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from elboroom.device.ranks import world
from elboroom.html_table import cell

Show = Callable[[float, str], None]
"""A function of the share of the work that is done, in [0, 1], and of words beside it."""

_LEAST_SECONDS = 0.2  # between two drawings


@contextmanager
def shown_progress(asked: bool, name: str) -> Iterator[Show]:
    """Yield a function that shows the progress of this block.

    A notebook shows one bar in the output of the cell, and a terminal one line. Elsewhere, as in a
    file that stderr goes to, words are written when they change. Of several processes the first
    shows it.

    Args:
        asked: False shows nothing.
        name: name of the work.
    """
    if not asked or not world().is_first:
        yield lambda share, words: None
        return
    with _place() as draw:
        bar = Bar(name, draw)
        try:
            yield bar.show
        finally:
            bar.end()


class Bar:
    """The progress of some work, as a line of text and in HTML.

    Args:
        name: name of the work.
        draw: draws this object, or draws it again.
    """

    def __init__(self, name: str, draw: Callable[["Bar"], None]) -> None:
        self.name, self.share, self.words = name, 0.0, ""
        self._draw, self._began, self._drawn = draw, time.perf_counter(), 0.0
        self._has_ended = False
        self.draw()

    def show(self, share: float, words: str) -> None:
        """Take the share of the work that is done, and draw it unless it was drawn just now."""
        self.share, self.words = min(max(share, 0.0), 1.0), words
        if time.perf_counter() - self._drawn >= _LEAST_SECONDS:
            self.draw()

    def end(self) -> None:
        """Draw the bar as the work has ended: done, or stopped."""
        self._has_ended = True
        self.draw()

    def draw(self) -> None:
        """Draw the bar as it is."""
        self._drawn = time.perf_counter()
        self._draw(self)

    @property
    def time(self) -> str:
        """The time since the beginning, and that which is left at this pace."""
        passed = time.perf_counter() - self._began
        if self._has_ended and self.share < 1:
            return f"{_clock(passed)}, stopped"
        if not 0 < self.share < 1:
            return _clock(passed)
        return f"{_clock(passed)}, about {_clock(passed / self.share * (1 - self.share))} left"

    def __repr__(self) -> str:
        words = f"{self.words}  " if self.words else ""
        return f"{self.name} {self.share:.0%}  {words}{self.time}"

    def _repr_html_(self) -> str:
        bar = f'<progress max="1" value="{self.share:.4f}"></progress>'
        after = cell(f"{self.share:.0%} {self.words}")
        return f"<div><label>{cell(self.name)} {bar}</label> {after} · {self.time}</div>"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class _Place(Protocol):
    def __call__(self, bar: Bar) -> None: ...


@contextmanager
def _place() -> Iterator[_Place]:
    """Yield the function that draws a bar where this program shows its output."""
    if _is_in_notebook():
        yield _in_cell()
    elif sys.stderr.isatty():
        try:
            yield _in_terminal
        finally:
            sys.stderr.write("\n")
    else:
        yield _in_lines()


def _is_in_notebook() -> bool:
    """Return True within a kernel of Jupyter, whose frontend shows HTML and updates it."""
    shell: Any = sys.modules.get("IPython")
    return shell is not None and getattr(shell.get_ipython(), "kernel", None) is not None


def _in_cell() -> _Place:
    from IPython.display import display  # it is there, because this runs in it

    handle: Any = None

    def draw(bar: Bar) -> None:
        nonlocal handle
        if handle is None:
            handle = display(bar, display_id=True)
        else:
            handle.update(bar)

    return draw


def _in_terminal(bar: Bar) -> None:
    from shutil import get_terminal_size

    width = get_terminal_size().columns - 1
    sys.stderr.write(f"\r\x1b[K{str(bar)[:width]}")
    sys.stderr.flush()


def _in_lines() -> _Place:
    last = ""

    def draw(bar: Bar) -> None:
        nonlocal last
        if bar.words != last:
            last = bar.words
            sys.stderr.write(f"{bar}\n")

    return draw
