"""Training as it is watched: a live bar on a terminal, plain lines elsewhere, or nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from elboroom.config import TrainConfig
from elboroom.training.state import EpochMetrics

Show = Callable[[EpochMetrics], None]


@contextmanager
def watch(console: Console, config: TrainConfig, part: str, *, quiet: bool) -> Iterator[Show]:
    """Yield what to call with each epoch's metrics.

    Args:
        console: where to write.
        config: says how many epochs there will be.
        part: the name of the held-out part.
        quiet: show nothing.
    """
    if quiet:
        yield lambda metrics: None
    elif console.is_terminal:
        with _bar(console) as bar:
            task = bar.add_task("epoch", total=config.epochs, metrics="", held_out="")
            yield lambda metrics: _update(bar, task, metrics, part)
    else:
        yield lambda metrics: console.print(_line(metrics, config.epochs, part), highlight=False)


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        MofNCompleteColumn(),
        BarColumn(bar_width=12),
        TimeRemainingColumn(compact=True),
        TextColumn(  # wraps on a narrow terminal, where rich would cut it
            "{task.fields[metrics]}{task.fields[held_out]}", table_column=Column(no_wrap=False)
        ),
        console=console,
    )


def _update(bar: Progress, task: TaskID, metrics: EpochMetrics, part: str) -> None:
    bar.update(task, completed=metrics.epoch, metrics=_terms(metrics))
    if metrics.held_out_elbo is not None:
        bar.update(task, held_out=_held_out(metrics.held_out_elbo, part))


def _line(metrics: EpochMetrics, epochs: int, part: str) -> str:
    held_out = metrics.held_out_elbo
    return f"epoch {metrics.epoch}/{epochs}  {_terms(metrics)}" + (
        "" if held_out is None else _held_out(held_out, part)
    )


def _terms(metrics: EpochMetrics) -> str:
    beta = "" if metrics.beta == 1 else f"  β {metrics.beta:.2f}"
    return (
        f"ELBO {metrics.elbo:.2f}  reconstruction {metrics.reconstruction:.2f}  "
        f"KL {metrics.kl:.2f}{beta}  {metrics.images_per_second:,.0f} images/s"
    )


def _held_out(elbo: float, part: str) -> str:
    return f"  {part} ELBO {elbo:.2f}"
