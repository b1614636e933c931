"""`elboroom infer`: posteriors of many rows in a file."""

import time
from functools import partial
from typing import Any

from torch import Tensor

from elboroom.cli import tables
from elboroom.cli.batches import Batch, run_in_batches
from elboroom.cli.selection import Selection
from elboroom.cli.shared_model import load_shared_model
from elboroom.cli.terminal import plain_console
from elboroom.config import InferConfig
from elboroom.device import readable, world
from elboroom.evaluation.estimate import Estimate
from elboroom.infer.methods import REGISTRY
from elboroom.infer.methods import infer as infer_by
from elboroom.model.vae import VAE
from elboroom.runs import atomic, out_file, posterior_file
from elboroom.runs.run import Run

_LARGE = 1 << 28  # bytes of draws that are announced before the work begins
_NOT_SUMMARISED = ("z", "mean", "kept_draws")


def infer(run: Run, config: InferConfig, *, best: bool, quiet: bool, as_json: bool) -> None:
    """Infer the posteriors of many rows, write them to a file, and print a summary.

    Several processes share the rows; the first one writes and prints.
    """
    out_file.require_absent(config.out)
    console, clock = plain_console(), time.perf_counter()
    selection = Selection.from_options(
        run, config, mask=config.mask, index=config.index, images=config.images
    )
    model, step = load_shared_model(run, best=best)
    method = REGISTRY[config.method]
    _announce((method.chains, config.draws, len(selection), model.latents))
    parts = run_in_batches(
        partial(_posterior_arrays, config=config),
        model,
        selection,
        rows_at_a_time=method.rows_at_a_time(model),
        seed=config.seed,
        purpose="infer",
        quiet=quiet,
    )
    if not world().is_first:
        return
    arrays = posterior_file.join(parts)
    summary = {
        **selection.describe(step=step, seed=config.seed),
        "method": config.method,
        "draws": config.draws,
        "chains": len(arrays["z"]),
        "seconds": round(time.perf_counter() - clock, 3),
        "known": {n: _summary(v, selection) for n, v in arrays.items() if n not in _NOT_SUMMARISED},
    }
    content = {name: table.numpy() for name, table in arrays.items()} | selection.names()
    stated = {"mask": selection.mask.numpy(), "summary": atomic.as_json(summary)}
    out_file.write_arrays(config.out, content | stated)
    kept = int(arrays["kept_draws"][0]) if "kept_draws" in arrays else None
    if as_json:
        console.print(atomic.as_json(summary | {"file": str(config.out)}))
        return
    title = f"{selection.title(run.results.step_name(step))}, {config.method}"
    console.print(tables.posteriors(title, summary["known"], kept, arrays["z"][..., 0, 0].numel()))
    console.print(config.out)


def _announce(shape: tuple[int, int, int, int]) -> None:
    """Check that all draws can be held, and say it if they will make the file large."""
    posterior_file.require_room(shape)
    size = posterior_file.size_of(shape)
    if size > _LARGE and world().is_first:
        chains, draws, rows, latents = shape
        plain_console(stderr=True).print(
            f"the file will hold {readable(size)} of draws: {chains} × {draws:,} of {rows:,} rows "
            f"of {latents:,} latents; a smaller --draws or --images makes it smaller"
        )


def _posterior_arrays(model: VAE, batch: Batch, *, config: InferConfig) -> dict[str, Tensor]:
    posterior = infer_by(
        config.method,
        model,
        batch.x,
        batch.mask,
        generator=batch.generator,
        draws=config.draws,
        on_step=batch.on_step,
    )
    return posterior_file.to_arrays(posterior, config.draws)


def _summary(values: Tensor, selection: Selection) -> dict[str, Any]:
    """Summarise one value per row, (N,), with the source rows of the extremes."""
    values, numbers = values.double(), selection.chosen.rows.numbers
    found = Estimate.of(values, selection.chosen.rows.noun).to_dict()
    for name, place in (("smallest", values.argmin()), ("largest", values.argmax())):
        row = selection.index[int(place)]
        found |= {name: values[place].item(), f"{name}_row": int(numbers[row])}
    return found
