"""Where commands write."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def plain_console(*, stderr: bool = False) -> Console:
    """A console that prints paths as they are, brackets and colons too."""
    return Console(stderr=stderr, soft_wrap=True, markup=False, emoji=False, highlight=False)


@contextmanager
def counting(total: int, *, quiet: bool) -> Iterator[Callable[[float], None]]:
    """Yield what to call with each number of images, or part of one, that is done.

    On a terminal a bar on stderr shows them, elsewhere nothing does.

    Args:
        total: of the images.
        quiet: show nothing.
    """
    console = plain_console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        MofNCompleteColumn(),
        BarColumn(bar_width=12),
        TimeRemainingColumn(compact=True),
    )
    shown = console.is_terminal and not quiet
    with Progress(*columns, console=console, disable=not shown, transient=True) as bar:
        task = bar.add_task("images", total=total)
        yield lambda images: bar.update(task, advance=images)
