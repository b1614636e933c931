"""`elboroom complete --out`: every row of a part, with what is unseen filled in."""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from elboroom import infer as inference
from elboroom.cli.batches import Batch, run_in_batches
from elboroom.cli.selection import Selection, require_unseen
from elboroom.cli.shared_model import load_shared_model
from elboroom.cli.terminal import plain_console
from elboroom.config import CompleteConfig, MethodName
from elboroom.data.stored_rows import StoredRows
from elboroom.device import world
from elboroom.infer.methods import REGISTRY
from elboroom.infer.methods import infer as infer_by
from elboroom.model.vae import VAE
from elboroom.runs import atomic, out_file
from elboroom.runs.run import Run

_DRAWS = 256  # that standard deviations are taken over: they are then known to 4 %
_VALUES = 1 << 26  # of all draws of a batch


def fill(
    run: Run, out: Path, config: CompleteConfig, *, best: bool, quiet: bool, as_json: bool
) -> None:
    """Fill in the unseen values of many rows, and write them as their source has them.

    Several processes share the rows; the first one writes and prints.
    """
    out_file.require_absent(out)
    console = plain_console()
    selection = Selection.from_options(run, config, mask=config.mask, index=config.index)
    require_unseen(selection)
    model, step = load_shared_model(run, best=best)
    found = _complete(model, selection, config, quiet=quiet)
    if not world().is_first:
        return
    unseen = int((~found["seen"]).sum())
    summary = {
        **selection.describe(step=step, seed=config.seed),
        "method": config.method[0],
        "draws": config.draws,
        "filled": unseen,
    }
    arrays = _as_stored(run.data.stored_rows(selection.rows, config.data), found)
    arrays |= selection.names()
    if out.suffix == ".npy":
        out_file.write_array(out, arrays["mean"])
    else:
        out_file.write_arrays(out, arrays | {"summary": atomic.as_json(summary)})
    if as_json:
        console.print(atomic.as_json(summary | {"file": str(out)}))
        return
    more = "; --part all fills in every row" if _is_default_part(config) else ""
    rows = selection.rows_title
    console.print(f"filled in {unseen:,} values of {rows} by {config.method[0]}{more}")
    console.print(out)


def _is_default_part(config: CompleteConfig) -> bool:
    """Return True if the rows are those of the test part, which the user did not ask for."""
    return config.data is None and config.part is None and config.index is None


def _complete(
    model: VAE, selection: Selection, config: CompleteConfig, *, quiet: bool
) -> dict[str, np.ndarray]:
    """Complete all rows of a selection in batches, as `_complete_batch` does for one.

    The first process gets them, the others none.
    """
    method, draws = config.method[0], max(_DRAWS, config.draws)
    at_a_time = max(1, _VALUES // (draws * selection.mask.numel()))
    parts = run_in_batches(
        partial(_complete_batch, method=method, draws=draws, kept=config.draws),
        model,
        selection,
        rows_at_a_time=min(at_a_time, REGISTRY[method].rows_at_a_time(model)),
        seed=config.seed,
        purpose="fill",
        quiet=quiet,
    )
    names = parts[0] if parts else ()
    return {n: torch.cat([p[n] for p in parts], int(n == "draws")).numpy() for n in names}


def _complete_batch(
    model: VAE, batch: Batch, *, method: MethodName, draws: int, kept: int
) -> dict[str, Tensor]:
    """Complete a batch: the mean, some draws, the standard deviation of all, and what is seen."""
    options = {"generator": batch.generator, "draws": draws, "on_step": batch.on_step}
    posterior = infer_by(method, model, batch.x, batch.mask, **options)
    filled = inference.complete(
        model, batch.x, batch.mask, posterior, draws=draws, generator=batch.generator
    )
    found = {
        "mean": filled.mean,
        "draws": filled.draws[:kept],
        "standard_deviation": filled.draws.std(0),
        "seen": batch.mask,
    }
    return {name: values.detach().cpu() for name, values in found.items()}


def _as_stored(stored: StoredRows, found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays of the file, in the scale, the type and the layout of the source."""
    seen = found["seen"]
    return {
        "mean": stored.fill(found["mean"], seen),
        "draws": stored.fill(found["draws"], seen),
        "standard_deviation": stored.spread(found["standard_deviation"], seen),
        "seen": stored.mask(seen),
    }
