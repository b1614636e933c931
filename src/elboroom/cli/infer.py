"""What the commands of posterior inference do."""

import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from elboroom.cli import tables
from elboroom.cli.selection import in_parts, mask_of, rows_of
from elboroom.cli.terminal import counting, plain_console
from elboroom.config import GapsConfig, InferConfig
from elboroom.data.dataset import Part
from elboroom.device import keep_freed_memory, resolve_device
from elboroom.evaluation.estimate import Estimate
from elboroom.infer.methods import images_at_a_time
from elboroom.infer.methods import infer as infer_by
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.runs import atomic, posterior_file
from elboroom.runs.run import Run


def infer(path: Path, config: InferConfig, *, best: bool, quiet: bool, as_json: bool) -> None:
    """Write the posteriors of many images into a file, and say what is known of them."""
    posterior_file.require_absent(config.out)
    run, console, clock = Run(path), plain_console(), time.perf_counter()
    mask = mask_of(run, config.mask)
    test = run.load_data().test
    index = rows_of(test, config.index, config.images)
    model, step = run.load_model_and_step(best=best)
    found = _inferred(model, test, index, mask, config, quiet=quiet)
    summary = {
        **_asked(run, step, config, len(index)),
        "method": config.method,
        "draws": config.draws,
        "chains": len(found["z"]),
        "seconds": round(time.perf_counter() - clock, 3),
        "known": {n: _spread(v) for n, v in found.items() if n not in ("z", "mean")},
    }
    told = atomic.as_json(summary)
    posterior_file.write(config.out, found, index=index, mask=mask, summary=told)
    if as_json:
        console.print(atomic.as_json(summary | {"file": str(config.out)}))
        return
    console.print(tables.posteriors(summary, summary["known"]))
    console.print(config.out)


def _inferred(
    model: VAE, test: Part, index: list[int], mask: Tensor, config: InferConfig, *, quiet: bool
) -> dict[str, Tensor]:
    keep_freed_memory()
    device = resolve_device("auto")
    model, parts = model.to(device), []
    with counting(len(index), quiet=quiet) as done:
        for number, rows in enumerate(in_parts(index, images_at_a_time(config.method))):
            batch = test.rows(rows).x
            posterior = infer_by(
                config.method,
                model,
                batch.to(device),
                (mask & ~batch.isnan()).to(device),
                generator=stream(config.seed, "infer", number, device=device),
                draws=config.draws,
                on_step=partial(_count, done, len(batch)),
            )
            parts.append(posterior_file.to_arrays(posterior, config.draws))
    return posterior_file.join(parts)


def _count(done: Callable[[float], None], images: int, _: int, steps: int) -> None:
    """One of `steps` equal steps of some images is done."""
    done(images / steps)


def _asked(run: Run, step: int, config: InferConfig | GapsConfig, images: int) -> dict[str, Any]:
    """What a result must say of itself."""
    return {
        "step": step,
        "identity": asdict(run.identity),
        "part": "test",
        "images": images,
        "mask": config.mask,
        "seed": config.seed,
        "unit": "nats per image",
    }


def _spread(values: Tensor) -> dict[str, float]:
    """One value an image, (N,), over images."""
    values = values.double()
    ends = {"smallest": values.min().item(), "largest": values.max().item()}
    return asdict(Estimate.of(values)) | ends
