"""What the commands of posterior inference do."""

import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from elboroom import gallery, posterior_file, result_tables, storage
from elboroom.config import CompleteConfig, GapsConfig, InferConfig
from elboroom.data.binarisation import threshold
from elboroom.data.dataset import Part
from elboroom.data.masks import load_mask
from elboroom.data.pictures import read_picture
from elboroom.device import keep_freed_memory, resolve_device
from elboroom.errors import UsageError
from elboroom.evaluation import Estimate
from elboroom.gaps import Gaps
from elboroom.gaps import gaps as gaps_of
from elboroom.infer.posterior import Posterior
from elboroom.infer.score import completion_score
from elboroom.methods import evidence_of, images_at_a_time
from elboroom.methods import infer as infer_by
from elboroom.model import VAE
from elboroom.randomness import stream
from elboroom.runs import Run
from elboroom.terminal import counting, plain_console

_FIRST, _FIRST_OF_GAPS = 8, 100
_GAPS_AT_A_TIME = 50


def complete(path: Path, config: CompleteConfig, *, best: bool, as_json: bool) -> None:
    """Complete images into a figure of the run, and say how good each completion is."""
    run, console = Run(path), plain_console()
    mask = _mask(run, config.mask)
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
    png, svg = run.write_figure(f"complete-{Path(config.mask).stem}", figure, step)
    if as_json:
        told = {"step": step, "mask": config.mask, "seed": config.seed, "unit": "nats"}
        console.print(storage.as_json(told | {"completions": found, "figure": str(png)}))
        return
    console.print(result_tables.completions(found, config.mask, step))
    console.print(f"{png} and {svg.suffix}")


def _chosen(run: Run, config: CompleteConfig) -> tuple[Tensor, list[str]]:
    if config.image is not None:
        picture = torch.from_numpy(read_picture(config.image, run.event_shape))
        return threshold(picture[None]).float(), [config.image.name]
    test = run.load_data().test
    rows = _rows(test, config.index, min(_FIRST, len(test)))
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


def infer(path: Path, config: InferConfig, *, best: bool, quiet: bool, as_json: bool) -> None:
    """Write the posteriors of many images into a file, and say what is known of them."""
    posterior_file.require_absent(config.out)
    run, console, clock = Run(path), plain_console(), time.perf_counter()
    mask = _mask(run, config.mask)
    test = run.load_data().test
    index = _rows(test, config.index, config.images)
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
    told = storage.as_json(summary)
    posterior_file.write(config.out, found, index=index, mask=mask, summary=told)
    if as_json:
        console.print(storage.as_json(summary | {"file": str(config.out)}))
        return
    console.print(result_tables.posteriors(summary, summary["known"]))
    console.print(config.out)


def _inferred(
    model: VAE, test: Part, index: list[int], mask: Tensor, config: InferConfig, *, quiet: bool
) -> dict[str, Tensor]:
    keep_freed_memory()
    device = resolve_device("auto")
    model, parts = model.to(device), []
    with counting(len(index), quiet=quiet) as done:
        for number, rows in enumerate(_in_parts(index, images_at_a_time(config.method))):
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
            parts.append(posterior_file.kept(posterior, config.draws))
    return posterior_file.join(parts)


def _count(done: Callable[[float], None], images: int, _: int, steps: int) -> None:
    """One of `steps` equal steps of some images is done."""
    done(images / steps)


def gaps(path: Path, config: GapsConfig, *, best: bool, quiet: bool, as_json: bool) -> None:
    """Print how far below log p(seen) the encoder's bound is, and why."""
    run, console = Run(path), plain_console()
    mask = _mask(run, config.mask)
    test = run.load_data().test
    index = _rows(test, None, config.images or min(_FIRST_OF_GAPS, len(test)))
    model, step = run.load_model_and_step(best=best)
    found = _gaps(model, test, index, mask, config, quiet=quiet)
    asked = {**_asked(run, step, config, len(index)), "k": config.k}
    if as_json:
        console.print(storage.as_json(asked | found.to_dict()))
        return
    console.print(result_tables.fits(asked, found))
    console.print(result_tables.gaps(found))


def _gaps(
    model: VAE, test: Part, index: list[int], mask: Tensor, config: GapsConfig, *, quiet: bool
) -> Gaps:
    keep_freed_memory()
    device = resolve_device("auto")
    model, parts = model.to(device), []
    with counting(len(index), quiet=quiet) as done:
        for number, rows in enumerate(_in_parts(index, _GAPS_AT_A_TIME)):
            noise = stream(config.seed, "gaps", number, device=device)
            batch = test.rows(rows).x
            seen = batch.to(device), (mask & ~batch.isnan()).to(device)
            parts.append(gaps_of(model, *seen, generator=noise, methods=config.method, k=config.k))
            done(len(batch))
    return Gaps.join(parts)


def _mask(run: Run, name: str | None) -> Tensor:
    """The mask of that name; None sees everything."""
    if name is None:
        return torch.ones(run.event_shape, dtype=torch.bool)
    return load_mask(name, run.event_shape)


def _rows(test: Part, index: tuple[int, ...] | None, first: int | None) -> list[int]:
    """Rows of the test part: those of `index`, or the first so many, or all."""
    if index is None:
        if first is not None and first > len(test):
            raise _beyond(f"--images {first} is more than the test part has", test)
        return list(range(len(test) if first is None else first))
    outside = [i for i in index if not 0 <= i < len(test)]
    if outside:
        raise _beyond(f"--index {outside[0]} is not a row of the test part", test)
    return list(index)


def _in_parts(index: list[int], size: int) -> list[list[int]]:
    return [index[start : start + size] for start in range(0, len(index), size)]


def _beyond(what: str, test: Part) -> UsageError:
    why = f"the test part has rows 0 to {len(test) - 1:,}"
    return UsageError(what, why=why, fix="name rows within it")


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
