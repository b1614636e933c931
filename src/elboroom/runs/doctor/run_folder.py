"""Checks of a run folder: its files are read, verified, and compared with each other."""

import math
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import torch

from elboroom.config import Config, TrainConfig
from elboroom.data.formats.npz import read_archive
from elboroom.device import resolve_device
from elboroom.errors import ElboroomError, RunError, command
from elboroom.evaluation.estimate import Estimate
from elboroom.evaluation.evaluation import mean_bound
from elboroom.model.vae import VAE
from elboroom.runs import checkpoints
from elboroom.runs.atomic import is_cut_short, unfinished
from elboroom.runs.checkpoints import listing
from elboroom.runs.config_file import CONFIG, not_a_run
from elboroom.runs.doctor.finding import Finding
from elboroom.runs.metrics_file import METRICS
from elboroom.runs.partial_encoder_file import FILE as PARTIAL_ENCODER
from elboroom.runs.provenance import RESULTS, read_provenance
from elboroom.runs.report import summarise
from elboroom.runs.results import EVALUATION, PER_IMAGE, REPORT
from elboroom.runs.run import Run
from elboroom.training.metrics import EpochMetrics
from elboroom.training.safeguards.early_stopping import is_finished, out_of_patience
from elboroom.training.schedule import steps_per_epoch
from elboroom.training.state import ends_fittingly
from elboroom.untrusted import parse_json, read_bytes

_LARGEST = 1 << 30  # bytes of a result whose content is checked
_BOUND_ARRAYS = ("iwae", "iwae_subset", "iwae_few", "stage")
Steps = dict[str, int | None]
"""Steps of the newest whole checkpoint and of the best one."""


def check_run(path: Path) -> list[Finding]:
    """Check the run folder `path`, without changing it.

    Raises:
        RunError: if there is no such folder, or it is a folder of runs.
    """
    if not path.is_dir():
        raise RunError(
            f"{path} is not a run",
            why="there is no such folder",
            fix="give the folder that `elboroom train` printed, such as runs/reference-…",
        )
    if not (path / CONFIG).exists() and [*path.glob(f"*/{CONFIG}")]:
        raise not_a_run(path)
    step, kept = _checkpoints(path)
    try:
        run = Run(path)
    except ElboroomError as error:
        kept = kept or [_without_checkpoints(path, _made_from_one(path))]
        return [_broken("config.toml", error), *kept, *_unfinished(path)]
    kept = kept or [_without_checkpoints(path, _made_from_one(path) or _after_epochs(run))]
    found = [Finding("config.toml", "can be read"), *kept]
    of_model, of_training = _model(run, step), _training(run, step)
    steps = {"newest": step, "best": _best(run)}
    return [*found, *of_model, *of_training, *_results(run, steps), *_unfinished(path)]


def _broken(name: str, error: ElboroomError) -> Finding:
    found = " ".join(f"{error.what}: {error.why}".split())  # PyTorch explains over several lines
    return Finding(name, found, error.fix, damage=True)


def _checkpoints(path: Path) -> tuple[int | None, list[Finding]]:
    """Return the step of the newest whole checkpoint, and a finding for each checkpoint."""
    kept = checkpoints.check_checkpoints(path / "checkpoints")
    if not kept:
        return None, []
    newest = next((one for one, damage in kept.items() if damage is None), None)
    fix = f"delete it: {newest.name} is used instead" if newest else "train the run again"
    found = [
        Finding(one.name, damage, fix, damage=True)
        if damage
        else Finding(one.name, "matches its manifest")
        for one, damage in kept.items()
    ]
    return listing.step_of(newest) if newest else None, found


def _without_checkpoints(path: Path, sign: str | None) -> Finding:
    """Report that a run has no checkpoints: lost ones if there is a sign of them, else none yet."""
    fix = f"{_resume(path)}, which starts from the beginning"
    if sign is None:
        return Finding("checkpoints", "there is none yet", fix)
    fix = f"restore them from a copy, or use {fix}"
    return Finding("checkpoints", f"there is none, although {sign}", fix, damage=True)


def _made_from_one(path: Path) -> str | None:
    """Name a result, which is made from a checkpoint; None if there is none."""
    made = (name for name in (EVALUATION, PER_IMAGE, REPORT, RESULTS) if (path / name).exists())
    return next((f"{name} was made from one" for name in made), None)


def _after_epochs(run: Run) -> str | None:
    """Return the number of epochs, if training has written a checkpoint by their end; else None."""
    with suppress(RunError):  # metrics that cannot be read are reported by themselves
        history = run.metrics.history()
        if _is_saved(history, run.config):
            return f"{len(history):,} epochs were trained, by the end of which one is written"
    return None


def _is_saved(history: list[EpochMetrics], config: Config) -> bool:
    """Return whether training writes a checkpoint by the end of these epochs."""
    train, checkpoints = config.train, config.checkpoints
    if is_finished(history, train):
        return True
    epochs = checkpoints.checkpoint_epochs or math.inf
    # The last batch of an epoch may be small. Twice the time, since speeds are measured.
    images = (history[0].step - 1) * train.resolved_batch_size if history else 0
    seconds = sum(images / m.images_per_second for m in history if m.images_per_second > 0)
    is_due = seconds > 2 * 60 * checkpoints.checkpoint_minutes
    return len(history) >= epochs or is_due or out_of_patience(history, train)


def _resume(path: Path) -> str:
    return f"`{command('train', '--resume', path)}`"


def _model(run: Run, step: int | None) -> Iterator[Finding]:
    """Check that a whole checkpoint holds the model that the config describes."""
    if step is None:
        return
    if run.runs_code:
        code = f"is made by code, {run.config.model.network}, which is not run here"
        yield Finding("model", code, f"if you know it, `elboroom evaluate {run.path} --trust`")
        return
    try:
        with warnings.catch_warnings(action="ignore"):  # damage is reported anyway
            model, _ = run.load_model_and_step()
    except ElboroomError as error:
        yield _broken("model", error)
    else:
        yield Finding("model", f"loads from {run.results.step_name(step)}")
        yield from _partial_encoder(run, model)


def _partial_encoder(run: Run, model: VAE) -> Iterator[Finding]:
    """Check that the partial encoder can be read, and belongs to the model."""
    if not (run.path / PARTIAL_ENCODER).exists():
        return
    again = f"`{command('amortise', run.path)}`"
    try:
        with warnings.catch_warnings(action="ignore"):
            run.load_partial_encoder(model)
    except ElboroomError as error:
        yield Finding(PARTIAL_ENCODER, f"{error.what}: {error.why}", again, damage=True)
    else:
        if model.partial_encoder is None:
            yield Finding(PARTIAL_ENCODER, "is not of the newest checkpoint", again)
        else:
            yield Finding(PARTIAL_ENCODER, "belongs to the newest checkpoint")


def _best(run: Run) -> int | None:
    """Return the step of the checkpoint that `--best` takes."""
    with warnings.catch_warnings(action="ignore"), suppress(ElboroomError):
        return run.load_model_and_step(best=True)[1]
    return None


def _training(run: Run, step: int | None) -> Iterator[Finding]:
    """Check that the metrics are complete, and that training can resume here."""
    history, per_epoch = list[EpochMetrics](), None
    try:
        per_epoch = steps_per_epoch(run.config.train, run.load_data().train)
        data = Finding("data", "is what the run was made from")
    except ElboroomError as error:
        data = Finding("data", f"{error.what}: {error.why}", error.fix)
    try:
        history = run.metrics.history()
        damage = _damage_of_history(history, step, per_epoch, run.config.train)
    except RunError as error:
        damage = f"a line cannot be read: {error.why}"
    yield _metrics(run, history, step, damage)
    yield _progress(run, history)
    yield data
    yield _device(run)


def _damage_of_history(
    history: list[EpochMetrics], step: int | None, per_epoch: int | None, config: TrainConfig
) -> str | None:
    """Describe the first line that is missing, repeated or of another run; None if all fit."""
    if per_epoch is None:
        per_epoch = history[0].step if history else None
    for number, m in enumerate(history, 1):
        step_due = number * (per_epoch or 1)
        if number != m.epoch or not ends_fittingly(m, per_epoch or 1, config):
            return (
                f"line {number:,} holds epoch {m.epoch:,} and step {m.step:,}; "
                f"expected epoch {number:,} and step {step_due:,}"
            )
    due = (step or 0) // per_epoch if per_epoch else 0
    if due > len(history):
        return f"found lines of {len(history):,} epochs; expected {due:,} before the checkpoint"
    return None


def _metrics(
    run: Run, history: list[EpochMetrics], step: int | None, damage: str | None
) -> Finding:
    if damage:
        without = f"the model and {_resume(run.path)} do without, curves and --patience do not"
        fix = f"restore it from a copy; {without}"
        return Finding(METRICS, damage, fix, damage=True)
    if is_cut_short(run.metrics.path):
        fix = f"{_resume(run.path)} trains that epoch again"
        return Finding(METRICS, "its last line was cut short", fix)
    beyond = sum(m.step > (step or 0) for m in history)
    if beyond:
        fix = f"{_resume(run.path)} trains them again"
        return Finding(METRICS, f"epochs newer than the newest checkpoint: {beyond:,}", fix)
    return Finding(METRICS, f"{len(history):,} whole lines, none newer than the checkpoints")


def _progress(run: Run, history: list[EpochMetrics]) -> Finding:
    options, finished = run.config.train, is_finished(history, run.config.train)
    of_all = f" of {options.epochs:,}" if options.minutes is None else ""
    found = f"{len(history):,}{of_all} epochs"
    if options.minutes is not None:
        share = history[-1].progress if history else None
        found += f", {share or 0.0:.0%} of {options.minutes:g} minutes"
    if not finished and out_of_patience(history, options):
        return Finding("training", f"{found}, ended early by --patience")
    return Finding("training", found, None if finished else f"{_resume(run.path)} resumes it")


def _device(run: Run) -> Finding:
    try:
        device = resolve_device(run.config.train.device)
    except ElboroomError as error:
        return Finding("device", f"training cannot resume here: {error.why}", error.fix)
    return Finding("device", f"training resumes on {device.type}")


def _results(run: Run, steps: Steps) -> Iterator[Finding]:
    """Check that each result can be read, and find the checkpoint that it was made from."""
    evaluate = f"`{command('evaluate', run.path)}`"
    try:
        read_provenance(run.path)
    except RunError as error:
        fix = "delete it, and make the results again: nothing else is lost"
        yield Finding(RESULTS, f"cannot be read: {error.why}", fix, damage=True)
    yield from _result(run, steps, EVALUATION, evaluate)
    if _means_differ(run):
        found = "is of another evaluation than evaluation.json: one of them was cut short"
        yield Finding(PER_IMAGE, found, evaluate)
    else:
        yield from _result(run, steps, PER_IMAGE, evaluate)
    yield from _result(run, steps, REPORT, f"`{command('report', run.path)}`")
    yield from _figures(run, steps)


def _result(run: Run, steps: Steps, name: str, fix: str) -> Iterator[Finding]:
    file = run.path / name
    if not file.exists():
        return
    try:
        _CHECKS.get(file.suffix, bytes)(read_bytes(file, _LARGEST))
    except _UNREADABLE as error:
        yield Finding(name, f"cannot be read: {error}", fix, damage=True)
        return
    source = _source(run, steps, name)
    if source is None:
        yield Finding(name, _why_outdated(run, name), fix)
    else:
        yield Finding(name, f"made from {source}")


def _means_differ(run: Run) -> bool:
    """Return True if the means of evaluation.npz differ from those in evaluation.json."""
    try:
        evaluation = run.results.read_evaluation()
        stored = {} if evaluation is None else summarise(run, evaluation).estimates
        arrays = read_archive(run.path / PER_IMAGE, _LARGEST / 2**30, copies=1)
        values = {name: torch.from_numpy(arrays[name]) for name in stored if name in arrays}
        means = {name: Estimate.of(rows).mean for name, rows in values.items()}
        if "stage" in arrays:
            bounds = {n: torch.from_numpy(arrays[n]) for n in _BOUND_ARRAYS if n in arrays}
            means["iwae"] = mean_bound(bounds)
    except (ElboroomError, TypeError, LookupError, *_UNREADABLE):
        return False  # a file that cannot be read is reported by itself
    return not all(n in means and _agree(e.get("mean"), means[n]) for n, e in stored.items())


def _agree(stored: float | None, mean: float) -> bool:
    """Compare a mean with its value in JSON, which has null for numbers that are not finite."""
    if stored is None:
        return not math.isfinite(mean)
    return math.isclose(mean, stored, rel_tol=1e-9)


def _source(run: Run, steps: Steps, name: str) -> str | None:
    """Name the checkpoint that a result was made from, the newest or the best; else None."""
    with suppress(RunError):  # results.json that cannot be read is reported by itself
        for which, step in steps.items():
            if step is not None and run.results.is_current(name, step):
                return f"the {which} checkpoint"
    return None


def _why_outdated(run: Run, name: str) -> str:
    with suppress(RunError):  # as in `_source`
        if run.results.recorded_step(name) is not None:
            return "older than the newest checkpoint"
    return "not listed in results.json"


def _figures(run: Run, steps: Steps) -> Iterator[Finding]:
    files = sorted(f for f in (run.path / "figures").glob("[!.]*.*") if f.is_file())
    sources = {file.name: _source(run, steps, f"figures/{file.name}") for file in files}
    old = [name for name, source in sources.items() if source is None]
    if old:
        reasons = {name: _why_outdated(run, f"figures/{name}") for name in old}
        found = "; ".join(
            f"{why}: {', '.join(name for name in old if reasons[name] == why)}"
            for why in sorted(set(reasons.values()))
        )
        yield Finding("figures", found, " and ".join(_redrawing(run, old)))
    elif sources:
        made = " and ".join(sorted({str(source) for source in sources.values()}))
        yield Finding("figures", f"{len(sources)} files, made from {made}")


def _redrawing(run: Run, names: list[str]) -> Iterator[str]:
    """Yield the commands that draw these files."""
    completions = sum(name.startswith("complete-") for name in names)
    if completions < len(names):
        yield f"`{command('figures', run.path)}`"
    if completions:
        yield f"`{command('complete', run.path, '--mask', 'MASK')}`"


def _require_archive(content: bytes) -> None:
    with zipfile.ZipFile(BytesIO(content)) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"{damaged} does not match its checksum")


_UNREADABLE = (OSError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error)
_CHECKS: dict[str, Callable[[bytes], object]] = {".json": parse_json, ".npz": _require_archive}


def _unfinished(path: Path) -> Iterator[Finding]:
    for part in unfinished(path):
        fix = "delete it, once nothing trains this run: a writer was stopped"
        yield Finding(str(part.relative_to(path)), "does not belong to the run", fix)
