"""`elboroom gaps`."""

from pathlib import Path

from torch import Tensor

from elboroom.cli import tables
from elboroom.cli.infer import _asked
from elboroom.cli.selection import in_parts, mask_of, rows_of
from elboroom.cli.terminal import counting, plain_console
from elboroom.config import GapsConfig
from elboroom.config.commands import TAKEN_APART_BY_DEFAULT
from elboroom.data.dataset import Part
from elboroom.device import keep_freed_memory, resolve_device
from elboroom.evaluation.inference_gap import Gaps
from elboroom.evaluation.inference_gap import gaps as gaps_of
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.runs import atomic
from elboroom.runs.run import Run

_GAPS_AT_A_TIME = 50


def gaps(path: Path, config: GapsConfig, *, best: bool, quiet: bool, as_json: bool) -> None:
    """Print how far below log p(seen) the encoder's bound is, and why."""
    run, console = Run(path), plain_console()
    mask = mask_of(run, config.mask)
    test = run.load_data().test
    index = rows_of(test, None, config.images or min(TAKEN_APART_BY_DEFAULT, len(test)))
    model, step = run.load_model_and_step(best=best)
    found = _gaps(model, test, index, mask, config, quiet=quiet)
    asked = {**_asked(run, step, config, len(index)), "k": config.k}
    if as_json:
        console.print(atomic.as_json(asked | found.to_dict()))
        return
    console.print(tables.fits(asked, found))
    console.print(tables.gaps(found))


def _gaps(
    model: VAE, test: Part, index: list[int], mask: Tensor, config: GapsConfig, *, quiet: bool
) -> Gaps:
    keep_freed_memory()
    device = resolve_device("auto")
    model, parts = model.to(device), []
    with counting(len(index), quiet=quiet) as done:
        for number, rows in enumerate(in_parts(index, _GAPS_AT_A_TIME)):
            noise = stream(config.seed, "gaps", number, device=device)
            batch = test.rows(rows).x
            seen = batch.to(device), (mask & ~batch.isnan()).to(device)
            parts.append(gaps_of(model, *seen, generator=noise, methods=config.method, k=config.k))
            done(len(batch))
    return Gaps.join(parts)
