"""`elboroom complete`: partly observed images, completed by one method or several."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from elboroom import figures
from elboroom import infer as inference
from elboroom.cli import tables
from elboroom.cli.selection import Selection, load_mask_of
from elboroom.cli.terminal import plain_console
from elboroom.config import CompleteConfig
from elboroom.config.commands import COMPLETED_BY_DEFAULT
from elboroom.data import masks
from elboroom.data.binarisation import threshold
from elboroom.data.formats.png import read_picture
from elboroom.device import keep_freed_memory
from elboroom.infer.completion import Completion
from elboroom.infer.completion_score import completion_score
from elboroom.infer.methods import infer_each
from elboroom.infer.posterior import Posterior
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.runs import atomic
from elboroom.runs.run import Run


@dataclass(frozen=True)
class _Images:
    """Images to complete.

    Attributes:
        x: (B, *event).
        mask: (B, *event), True where a pixel is observed.
        names: B names.
    """

    x: Tensor
    mask: Tensor
    names: list[str]


def complete(path: Path, config: CompleteConfig, *, best: bool, as_json: bool) -> None:
    """Infer z of the images, complete them, score each completion, and draw them all."""
    run, console = Run(path), plain_console()
    images = _load_images(run, config)
    keep_freed_memory()
    model, step = run.load_model_and_step(best=best)
    noise = stream(config.seed, "complete")
    posteriors = infer_each(config.method, model, images.x, images.mask, generator=noise)
    completions = {
        method: inference.complete(
            model,
            images.x,
            images.mask,
            posterior,
            draws=config.draws,
            generator=noise.clone_state(),
        )
        for method, posterior in posteriors.items()
    }
    scores = {m: _scores(model, images, p, config.seed) for m, p in posteriors.items()}
    rows = _rows(images.names, scores)
    figure = _draw(images, completions)
    png, svg = run.results.write_figure(f"complete-{Path(config.mask).stem}", figure, step)
    if as_json:
        header = {"step": step, "mask": config.mask, "seed": config.seed, "unit": "nats"}
        console.print(atomic.as_json(header | {"completions": rows, "figure": str(png)}))
        return
    console.print(tables.completions(rows, config.mask, step))
    console.print(f"{png} and {svg.suffix}")


def _load_images(run: Run, config: CompleteConfig) -> _Images:
    if config.image is not None:
        mask = load_mask_of(run, config.mask)
        picture = torch.from_numpy(read_picture(config.image, run.event_shape))
        x = threshold(picture[None]).float()
        return _Images(x, masks.seen(x, mask), [config.image.name])
    selection = Selection.from_options(
        run, mask=config.mask, index=config.index, default_images=COMPLETED_BY_DEFAULT
    )
    x = selection.test.rows(selection.index).x
    names = [f"test image {i}" for i in selection.index]
    return _Images(x, masks.seen(x, selection.mask), names)


def _scores(model: VAE, images: _Images, posterior: Posterior, seed: int) -> list[dict[str, float]]:
    """Return for each image the ELBO or log p(seen), if known, and the score of its completion."""
    noise = stream(seed, "score")
    score = completion_score(
        model, images.x, images.mask, posterior, generator=noise, correct=False
    )
    columns = posterior.evidence | {"score": score.log_prob}
    columns["score_standard_error"] = score.standard_error
    columns["score_ess"] = score.ess
    values = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in values]


def _rows(names: list[str], scores: Mapping[str, list[dict[str, float]]]) -> list[dict[str, Any]]:
    """Return a row for each image and method, image by image."""
    return [
        {"image": name, "method": method} | scores[method][i]
        for i, name in enumerate(names)
        for method in scores
    ]


def _draw(images: _Images, completions: Mapping[str, Completion]) -> Figure:
    x, mask = images.x.numpy(), images.mask.numpy()
    arrays = {name: (c.mean.numpy(), c.draws.numpy()) for name, c in completions.items()}
    if len(arrays) == 1:
        return figures.completion(x, mask, *next(iter(arrays.values())))
    return figures.completions(x, mask, arrays)
