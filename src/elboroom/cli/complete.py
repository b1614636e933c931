"""`elboroom complete`: partly observed rows, completed by one method or several."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from elboroom import figures
from elboroom import infer as inference
from elboroom.cli import tables
from elboroom.cli.batches import Batch, Columns, run_in_batches
from elboroom.cli.picture import load_picture
from elboroom.cli.selection import Selection, load_mask_of, require_unseen
from elboroom.cli.shared_model import load_shared_model
from elboroom.cli.terminal import plain_console
from elboroom.config import CompleteConfig, MethodName, ValueKind
from elboroom.config.commands import COMPLETED_BY_DEFAULT
from elboroom.data import masks, noun
from elboroom.device import world
from elboroom.errors import NotDrawableError
from elboroom.figures.gallery import require_images
from elboroom.infer.completion import Completion
from elboroom.infer.completion_score import completion_score, predictive_score
from elboroom.infer.methods import infer_each
from elboroom.infer.posterior import Posterior
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.runs import atomic
from elboroom.runs.chosen_part import row_name, row_table
from elboroom.runs.run import Run

_MISSING = "missing"  # stands for the mask where only missing values are filled in


@dataclass(frozen=True)
class _Images:
    """Images to complete.

    Attributes:
        x: (B, *event).
        mask: (B, *event), True where a pixel is observed.
        names: of each image, its name and where it stands in the source.
        caption: a line above the figure.
    """

    x: Tensor
    mask: Tensor
    names: list[dict[str, Any]]
    caption: str

    def __len__(self) -> int:
        return len(self.x)

    @property
    def noun(self) -> str:
        """The word for one of them."""
        return noun(tuple(self.x.shape[1:]))

    @property
    def nouns(self) -> str:
        """The word for several of them."""
        return f"{self.noun}s"

    def batch(self, number: int, size: int) -> tuple[Tensor, Tensor]:
        """Return x and its mask of a batch of `size` images."""
        rows = slice(number * size, (number + 1) * size)
        return self.x[rows], self.mask[rows]


def complete(run: Run, config: CompleteConfig, *, best: bool, quiet: bool, as_json: bool) -> None:
    """Infer z of the images, complete them, score each completion, and draw them all.

    Several processes share the images; the first one draws and prints.
    """
    console, images = plain_console(), _load_images(run, config)
    model, step = load_shared_model(run, best=best)
    parts = run_in_batches(
        partial(_complete_batch, config=config),
        model,
        images,
        rows_at_a_time=COMPLETED_BY_DEFAULT,
        seed=config.seed,
        purpose="complete",
        quiet=quiet,
    )
    if not world().is_first:
        return
    completions = {method: _joined(parts, method) for method in config.method}
    rows, mask = _rows(images.names, parts, config.method), config.mask or _MISSING
    drawn, left_out = _draw(run, images, completions, f"complete-{Path(mask).stem}", step)
    if as_json:
        header = {"step": step, "mask": config.mask, "seed": config.seed, "unit": "nats"}
        figure = None if drawn is None else str(drawn)
        console.print(atomic.as_json(header | {"completions": rows, "figure": figure}))
        return
    seen = "all but missing values" if config.mask is None else config.mask
    console.print(tables.completions(rows, images.noun, seen, run.results.step_name(step)))
    for line in tables.unmixed(rows):
        console.print(line)
    console.print(left_out if drawn is None else f"{drawn} and .svg")


def _complete_batch(model: VAE, batch: Batch, *, config: CompleteConfig) -> Columns:
    """Complete a batch by each method: the mean and the draws, and the scores as JSON."""
    noise, found = batch.generator, dict[str, Tensor | str]()
    posteriors = infer_each(config.method, model, batch.x, batch.mask, generator=noise)
    for method, posterior in posteriors.items():
        options: dict[str, Any] = {"draws": config.draws, "generator": noise.clone_state()}
        filled = inference.complete(model, batch.x, batch.mask, posterior, **options)
        scores = json.dumps(_scores(model, batch, posterior, config))
        columns = {"mean": filled.mean, "draws": filled.draws, "scores": scores}
        found |= {f"{method} {name}": value for name, value in columns.items()}
    batch.on_step(1, 1)
    return found


def _joined(parts: list[dict[str, Any]], method: MethodName) -> Completion:
    """Return the completions of all batches by a method."""
    means = [part[f"{method} mean"].cpu() for part in parts]
    draws = [part[f"{method} draws"].cpu() for part in parts]
    return Completion(torch.cat(means), torch.cat(draws, 1))


def _load_images(run: Run, config: CompleteConfig) -> _Images:
    if config.image is not None:
        mask, (x, notes) = load_mask_of(run, config.mask), load_picture(run, config.image)
        for note in notes:
            plain_console(stderr=True).print(note)
        return _Images(x, masks.seen(x, mask), [{"name": config.image.name, "source": ""}], "")
    selection = Selection.from_options(
        run, config, mask=config.mask, index=config.index, default_images=COMPLETED_BY_DEFAULT
    )
    require_unseen(selection)
    part, chosen = selection.chosen.rows, selection.chosen.name
    name = "" if chosen == "all" else f"{chosen} "
    x = part.rows(selection.index).x
    names = [
        {"name": f"{name}{part.noun} {i}", "source": row_name(part, i)} | row_table(part, i)
        for i in selection.index
    ]
    caption = f"{name}{part.nouns}, by their row in {part.origin or 'the source'}"
    return _Images(x, masks.seen(x, selection.mask), names, caption)


def _scores(
    model: VAE, batch: Batch, posterior: Posterior, config: CompleteConfig
) -> list[dict[str, Any]]:
    """Return for each image the ELBO or log p(seen), if known, and its two scores.

    Without a mask nothing that is known was withheld, and there is no score.
    """
    table: dict[str, list[Any]] = {n: v.tolist() for n, v in posterior.evidence.items()}
    if config.mask is not None:
        for name, score in (("score", completion_score), ("own_score", predictive_score)):
            noise = stream(config.seed, "score", batch.number, device=batch.x.device)
            found = score(model, batch.x, batch.mask, posterior, generator=noise)
            table |= found.columns(name)
    return [{n: values[i] for n, values in table.items()} for i in range(len(batch.x))]


def _rows(
    names: list[dict[str, Any]], parts: list[dict[str, Any]], methods: tuple[MethodName, ...]
) -> list[dict[str, Any]]:
    """Return a row for each image and method, image by image."""
    scores = {m: [json.loads(part[f"{m} scores"]) for part in parts] for m in methods}
    return [
        name | {"method": method} | score
        for name, *found in zip(names, *(chain(*scores[m]) for m in methods), strict=True)
        for method, score in zip(methods, found, strict=True)
    ]


def _draw(
    run: Run, images: _Images, completions: Mapping[str, Completion], name: str, step: int
) -> tuple[Path | None, str]:
    """Draw the completions; return the PNG, or None and the reason if they cannot be drawn."""
    try:
        require_images(run.event_shape, "completion")
    except NotDrawableError as error:
        return None, f"left out: {error.what}; --out FILE.npz writes the completed values"
    png, _ = run.results.write_figure(name, _figure(images, completions, run.identity.values), step)
    return png, ""


def _figure(
    images: _Images, completions: Mapping[str, Completion], values: ValueKind | None
) -> Figure:
    """Draw the completions; only values that are no grey levels are stretched to their range."""
    arrays = {name: (c.mean, c.draws) for name, c in completions.items()}
    look = {
        "names": [str(name.get("row", name["name"])) for name in images.names],
        "caption": images.caption,
        "value_range": None if values == "real" else (0.0, 1.0),
    }
    if len(arrays) == 1:
        return figures.completion(images.x, images.mask, *next(iter(arrays.values())), **look)
    return figures.completions(images.x, images.mask, arrays, **look)
