"""`elboroom amortise`: a partial encoder of a run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.table import Table

from elboroom.cli.signals import interruptible
from elboroom.cli.terminal import counting, plain_console
from elboroom.config import AmortiseConfig
from elboroom.evaluation.estimate import Estimate, as_tables
from elboroom.model.partial_encoder import PartialEncoder
from elboroom.model.vae import VAE
from elboroom.runs import atomic, partial_encoder_file
from elboroom.runs.run import Run
from elboroom.training.amortisation import Fit, Look
from elboroom.training.amortisation import amortise as train_partial_encoder

Show = Callable[[Look], None]


def amortise(run: Run, config: AmortiseConfig, *, best: bool, quiet: bool, as_json: bool) -> int:
    """Train a partial encoder of a run, write it whenever it is the best so far, and compare it.

    Returns:
        0, or 128 + the number of the signal that stopped the training.
    """
    data, console = run.load_data(config.data), plain_console()
    model, step = run.load_model_and_step(best=best)
    before = _before(run, config, model, quiet=quiet)
    with run.locked(), interruptible() as stop, _progress(quiet=quiet) as show:

        def keep(look: Look, partial: PartialEncoder) -> None:
            show(look)
            if look.is_best:
                partial_encoder_file.write(run.path, model, partial, config, look)

        options = {"partial": before, "on_look": keep, "stop": stop}
        fit = train_partial_encoder(model, data, config, run.config.model, **options)
    if as_json:
        summary = {"step": step, "seed": config.seed, "unit": f"nats per {data.noun}"}
        console.print(atomic.as_json(summary | _summary(run, fit, data.noun)))
    else:
        console.print(_table(fit, run.results.step_name(step), data.noun))
        console.print(_closing(run, fit))
    return stop.exit_code


def _before(run: Run, config: AmortiseConfig, model: VAE, *, quiet: bool) -> PartialEncoder | None:
    """Return the partial encoder to train further; None if there is none of the same family."""
    found = partial_encoder_file.read(run.path, run.config.model, model)
    if found is None or found[1].family != config.family:
        return None
    if not quiet:
        plain_console(stderr=True).print(f"goes on from {run.path / partial_encoder_file.FILE}")
    return found[0]


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Show]:
    """Show a bar on a terminal, else a line for each look."""
    console = plain_console(stderr=True)
    if quiet:
        yield lambda look: None
        return
    if not console.is_terminal:
        yield lambda look: console.print(
            f"step {look.step:,}, {look.progress:.0%}  held-out −log r {look.loss:.3f}"
        )
        return
    with counting(100, "% of the training", quiet=False) as advance:
        done = 0.0

        def show(look: Look) -> None:
            nonlocal done
            now = 100 * look.progress
            advance(now - done)
            done = now

        yield show


def _summary(run: Run, fit: Fit, noun: str) -> dict[str, Any]:
    """Return the results as JSON types."""
    compared = {"held_out": fit.held_out, "drawn": fit.drawn}
    return {
        "steps": fit.looks[-1].step,
        "stopped": fit.stopped,
        "loss": fit.best.loss,
        "half_seen": {
            name: as_tables(Estimate.of_each(values, noun)) for name, values in compared.items()
        },
        "file": str(run.path / partial_encoder_file.FILE),
    }


def _table(fit: Fit, step: str, noun: str) -> Table:
    """Lay out −log of each density at the latents of half-seen rows."""
    title = f"−log r(z | seen) where half of a row is seen, {step}"
    table = Table(title=title, title_justify="left", caption="nats, ± one standard error")
    table.add_column("")
    for header in ("held-out rows", "rows of the model"):
        table.add_column(header, justify="right")
    for name, values in fit.held_out.items():
        both = (Estimate.of(one, noun) for one in (values, fit.drawn[name]))
        table.add_row(name, *(f"{estimate}" for estimate in both))
    return table


def _closing(run: Run, fit: Fit) -> str:
    path = run.path / partial_encoder_file.FILE
    if not (fit.best.step and path.exists()):
        return f"{path} stays as it was: no look was better"
    last = fit.looks[-1]
    ended = f"stopped after step {last.step:,}, {last.progress:.0%} of the training; "
    return f"{ended if fit.stopped else ''}{path}, from step {fit.best.step:,}"
