"""`elboroom gaps`: the inference gap of a run."""

from functools import partial

from elboroom.cli import tables
from elboroom.cli.batches import Batch, Columns, run_in_batches
from elboroom.cli.selection import Selection
from elboroom.cli.shared_model import load_shared_model
from elboroom.cli.terminal import plain_console
from elboroom.config import GapsConfig
from elboroom.config.commands import TAKEN_APART_BY_DEFAULT
from elboroom.device import world
from elboroom.evaluation.inference_gap import Gaps
from elboroom.evaluation.inference_gap import gaps as gaps_of
from elboroom.model.vae import VAE
from elboroom.runs import atomic
from elboroom.runs.run import Run

_ROWS_AT_A_TIME = 50


def gaps(run: Run, config: GapsConfig, *, best: bool, quiet: bool, as_json: bool) -> None:
    """Print how far the encoder's ELBO is below log p(seen), and how much each cause adds.

    Several processes share the rows; the first one prints.
    """
    console = plain_console()
    selection = Selection.from_options(
        run,
        config,
        mask=config.mask,
        images=config.images,
        default_images=TAKEN_APART_BY_DEFAULT,
    )
    model, step = load_shared_model(run, best=best)
    parts = run_in_batches(
        partial(_gaps_of_batch, config=config),
        model,
        selection,
        rows_at_a_time=_ROWS_AT_A_TIME,
        seed=config.seed,
        purpose="gaps",
        quiet=quiet,
    )
    if not world().is_first:
        return
    found = Gaps.join([Gaps.of_columns(part) for part in parts])
    description = {**selection.describe(step=step, seed=config.seed), "k": config.k}
    if as_json:
        console.print(atomic.as_json(description | found.to_dict()))
        return
    console.print(
        tables.fits(f"{selection.title(run.results.step_name(step))}, K = {config.k:,}", found)
    )
    console.print("\n".join(found.lines))


def _gaps_of_batch(model: VAE, batch: Batch, *, config: GapsConfig) -> Columns:
    options = {"methods": config.method, "k": config.k}
    found = gaps_of(model, batch.x, batch.mask, generator=batch.generator, **options)
    batch.on_step(1, 1)
    return found.columns()
