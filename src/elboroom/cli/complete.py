"""`elboroom complete`."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from elboroom.cli import tables
from elboroom.cli.selection import mask_of, rows_of
from elboroom.cli.terminal import plain_console
from elboroom.config import CompleteConfig
from elboroom.data.binarisation import threshold
from elboroom.data.formats.png import read_picture
from elboroom.device import keep_freed_memory
from elboroom.figures import gallery
from elboroom.infer.completion_score import completion_score
from elboroom.infer.methods import evidence_of
from elboroom.infer.posterior import Posterior
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.runs import atomic
from elboroom.runs.run import Run

_FIRST = 8


def complete(path: Path, config: CompleteConfig, *, best: bool, as_json: bool) -> None:
    """Complete images into a figure of the run, and say how good each completion is."""
    run, console = Run(path), plain_console()
    mask = mask_of(run, config.mask)
    x, names = _chosen(run, config)
    mask = mask & ~x.isnan()
    keep_freed_memory()
    model, step = run.load_model_and_step(best=best)
    noise = stream(config.seed, "complete")
    figure, posteriors = gallery.completion(
        model, x, mask, draws=config.draws, generator=noise, methods=config.method
    )
    scored = [
        [{"method": method} | row for row in _scored(model, x, mask, posterior, config.seed)]
        for method, posterior in posteriors.items()
    ]
    by_image = zip(names, *scored, strict=True)
    found = [{"image": name} | row for name, *rows in by_image for row in rows]
    png, svg = run.results.write_figure(f"complete-{Path(config.mask).stem}", figure, step)
    if as_json:
        told = {"step": step, "mask": config.mask, "seed": config.seed, "unit": "nats"}
        console.print(atomic.as_json(told | {"completions": found, "figure": str(png)}))
        return
    console.print(tables.completions(found, config.mask, step))
    console.print(f"{png} and {svg.suffix}")


def _chosen(run: Run, config: CompleteConfig) -> tuple[Tensor, list[str]]:
    if config.image is not None:
        picture = torch.from_numpy(read_picture(config.image, run.event_shape))
        return threshold(picture[None]).float(), [config.image.name]
    test = run.load_data().test
    rows = rows_of(test, config.index, min(_FIRST, len(test)))
    return test.rows(rows).x, [f"test image {i}" for i in rows]


def _scored(
    model: VAE, x: Tensor, mask: Tensor, posterior: Posterior, seed: int
) -> list[dict[str, Any]]:
    """What a posterior knows of each row, and how probable it found the pixels withheld."""
    noise, known = stream(seed, "score"), evidence_of(posterior)
    score = completion_score(model, x, mask, posterior, generator=noise, correct=False)
    found = dict([known]) if known else {}
    found |= {"score": score.log_prob, "score_standard_error": score.standard_error}
    found["score_ess"] = score.ess
    columns = (values.tolist() for values in found.values())
    return [dict(zip(found, row, strict=True)) for row in zip(*columns, strict=True)]
