"""Consoles and progress bars of the commands."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from elboroom.config import TrainConfig
from elboroom.device import world
from elboroom.errors import escaped
from elboroom.model.bounds import bits_per_dimension
from elboroom.training.metrics import EpochMetrics


class _Escaping(Console):
    """A console that escapes control characters in what it prints, also in tables."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(escaped(text), **options)


def plain_console(*, stderr: bool = False) -> Console:
    """Return a console that prints paths unchanged, brackets and colons included.

    Only control characters are escaped: files, classes and columns have names that others gave.
    """
    return _Escaping(stderr=stderr, soft_wrap=True, markup=False, emoji=False, highlight=False)


@contextmanager
def counting(total: float, nouns: str, *, quiet: bool) -> Iterator[Callable[[float], None]]:
    """Count rows with a bar on stderr if that is a terminal.

    Args:
        total: number of rows that this process works on.
        nouns: the word for several rows of the data.
        quiet: show nothing.

    Yields:
        A function to call with each number of rows that is done; fractions are allowed.
    """
    console = plain_console(stderr=True)
    if quiet or not console.is_terminal or not world().is_first:
        yield lambda rows: None
        return
    with _bar(console, transient=True) as bar:
        task = bar.add_task(nouns, total=total)
        yield lambda rows: bar.update(task, advance=rows)


@contextmanager
def counting_stages(
    nouns: str, *, quiet: bool
) -> Iterator[tuple[Callable[[str, float], None], Callable[[float], None]]]:
    """Count rows in stages, one after the other, as `counting` does.

    Args:
        nouns: the word for several rows of the data.
        quiet: show nothing.

    Yields:
        A function to call with the name of each stage and its number of rows, before it begins; and
        one to call with each number of rows that is done.
    """
    console = plain_console(stderr=True)
    if quiet or not console.is_terminal or not world().is_first:
        yield (lambda stage, rows: None), (lambda rows: None)
        return
    with _bar(console, transient=True) as bar:
        task = bar.add_task(nouns)
        yield (
            lambda stage, rows: bar.reset(task, total=rows, description=f"{nouns}, {stage}"),
            lambda rows: bar.update(task, advance=rows),
        )


@contextmanager
def epoch_progress(
    console: Console,
    config: TrainConfig,
    watched_by: str,
    nouns: str,
    *,
    quiet: bool,
    values: int | None = None,
) -> Iterator[Callable[[EpochMetrics], None]]:
    """Show training: a bar on a terminal, else one line per epoch.

    Args:
        console: where to write.
        config: options with the number of epochs.
        watched_by: what training is watched by, such as the validation ELBO.
        nouns: the word for several rows of the data.
        quiet: show nothing.
        values: the number of values of a row; None if bits per dimension are not shown.

    Yields:
        A function to call with the metrics of each epoch.
    """
    if quiet:
        yield lambda metrics: None
    elif console.is_terminal:
        # This column wraps on a narrow terminal, where rich would cut it.
        text = "{task.fields[metrics]}{task.fields[held_out]}"
        metrics_column = TextColumn(text, table_column=Column(no_wrap=False))
        with _bar(console, metrics_column) as bar:
            unit, total = _unit_and_total(config)
            task = bar.add_task(unit, total=total, metrics="", held_out="")
            yield lambda metrics: _update(bar, task, metrics, total, watched_by, nouns, values)
    else:
        yield lambda metrics: console.print(
            _line(metrics, config, watched_by, nouns, values), highlight=False
        )


def _unit_and_total(config: TrainConfig) -> tuple[str, int]:
    """Return the unit that training is counted in, and its number: epochs, or percent of time."""
    if config.minutes is not None:
        return "% of the training", 100
    return "epoch", config.resolved_epochs


def _bar(console: Console, *more: ProgressColumn, transient: bool = False) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        MofNCompleteColumn(),
        BarColumn(bar_width=12),
        TimeRemainingColumn(compact=True),
        *more,
    )
    return Progress(*columns, console=console, transient=transient)


def _update(
    bar: Progress,
    task: TaskID,
    metrics: EpochMetrics,
    total: int,
    watched_by: str,
    nouns: str,
    values: int | None,
) -> None:
    share = metrics.progress
    completed = metrics.epoch if share is None else round(share * total)
    bar.update(task, completed=completed, metrics=_terms(metrics, nouns))
    if metrics.held_out_elbo is not None:
        bar.update(task, held_out=_held_out(metrics.held_out_elbo, watched_by, values))


def _line(
    metrics: EpochMetrics, config: TrainConfig, watched_by: str, nouns: str, values: int | None
) -> str:
    held_out, epochs = metrics.held_out_elbo, f"/{config.epochs}"
    if config.minutes is not None and metrics.progress is not None:
        epochs = f", {metrics.progress:.0%}"
    return f"epoch {metrics.epoch}{epochs}  {_terms(metrics, nouns)}" + (
        "" if held_out is None else _held_out(held_out, watched_by, values)
    )


def _terms(metrics: EpochMetrics, nouns: str) -> str:
    return f"{metrics.terms}  {metrics.images_per_second:,.0f} {nouns}/s"


def _held_out(elbo: float, watched_by: str, values: int | None) -> str:
    return f"  {watched_by} {elbo:.2f}{in_bits(elbo, values)}"


def in_bits(elbo: float, values: int | None) -> str:
    """Write an ELBO in bits per dimension, after its nats; nothing without a number of values."""
    return "" if values is None else f", {bits_per_dimension(elbo, values):.3f} bits per dimension"
