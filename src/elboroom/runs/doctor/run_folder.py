"""Whether a run is whole: its files are read, checked, and held against each other."""

import math
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import torch

from elboroom.data.formats.npz import read_archive
from elboroom.device import resolve_device
from elboroom.errors import ElboroomError, RunError
from elboroom.evaluation.estimate import Estimate
from elboroom.runs.atomic import is_cut_short, left_aside, unnamed
from elboroom.runs.checkpoints import checkpoint as checkpoints
from elboroom.runs.doctor.finding import Finding
from elboroom.runs.report import told
from elboroom.runs.run import METRICS, Run
from elboroom.training.safeguards.early_stopping import out_of_patience
from elboroom.training.schedule import steps_per_epoch
from elboroom.training.state import EpochMetrics
from elboroom.untrusted import parse_json, read_bytes

_LARGEST = 1 << 30  # bytes of a result that is looked into
Steps = dict[str, int | None]  # of the newest checkpoint that is whole, and of the best


def examine(path: Path) -> list[Finding]:
    """What is found in the run folder `path`, which is left as it is.

    Raises:
        RunError: there is no such folder.
    """
    if not path.is_dir():
        raise RunError(
            f"{path} is not a run",
            why="there is no such folder",
            fix="give the folder that `elboroom train` printed, such as runs/reference-…",
        )
    step, kept = _checkpoints(path)
    try:
        run = Run(path)
    except ElboroomError as error:
        return [_broken("config.toml", error), *kept, *_left(path)]
    found = [Finding("config.toml", "can be read"), *kept]
    of_model, of_training = _model(run, step), _training(run, step)
    steps = {"newest": step, "best": _best(run)}
    return [*found, *of_model, *of_training, *_results(run, steps), *_left(path)]


def _broken(name: str, error: ElboroomError) -> Finding:
    found = " ".join(f"{error.what}: {error.why}".split())  # PyTorch explains over several lines
    return Finding(name, found, error.fix, damage=True)


def _checkpoints(path: Path) -> tuple[int | None, list[Finding]]:
    """The step of the newest whole checkpoint, and what is found of each."""
    kept = checkpoints.examine(path / "checkpoints")
    if not kept:
        fix = f"{_resume(path)}, which begins anew"
        return None, [Finding("checkpoints", "there is none yet", fix)]
    newest = next((one for one, wrong in kept.items() if wrong is None), None)
    fix = f"remove it: {newest.name} is used instead" if newest else "train the run again"
    found = [
        Finding(one.name, wrong, fix, damage=True)
        if wrong
        else Finding(one.name, "is as its manifest says")
        for one, wrong in kept.items()
    ]
    return checkpoints.named_step(newest) if newest else None, found


def _resume(path: Path) -> str:
    return f"`elboroom train --resume {path}`"


def _model(run: Run, step: int | None) -> Iterator[Finding]:
    """Whether a whole checkpoint is one of the model that the config names."""
    if step is None:
        return
    try:
        with warnings.catch_warnings(action="ignore"):  # of what is found below anyway
            run.load_model()
    except ElboroomError as error:
        yield _broken("model", error)
    else:
        yield Finding("model", f"loads from step {step:,}")


def _best(run: Run) -> int | None:
    """The step of the checkpoint that `--best` takes."""
    with warnings.catch_warnings(action="ignore"), suppress(ElboroomError):
        return run.load_model_and_step(best=True)[1]
    return None


def _training(run: Run, step: int | None) -> Iterator[Finding]:
    """Whether its metrics are whole, and whether training can go on here."""
    history, per_epoch = list[EpochMetrics](), None
    try:
        per_epoch = steps_per_epoch(run.config.train, run.load_data().train)
        data = Finding("data", "is what the run was made from")
    except ElboroomError as error:
        data = Finding("data", f"{error.what}: {error.why}", error.fix)
    try:
        history = run.history()
        wrong = _wrong(history, step, per_epoch)
    except RunError as error:
        wrong = f"a line cannot be read: {error.why}"
    yield _metrics(run, history, step, wrong)
    yield _progress(run, history)
    yield data
    yield _device(run)


def _wrong(history: list[EpochMetrics], step: int | None, per_epoch: int | None) -> str | None:
    """What tells that lines are missing, doubled or of another run."""
    if per_epoch is None:
        per_epoch = history[0].step if history else None
    for number, m in enumerate(history, 1):
        if (m.epoch, m.step) != (number, number * (per_epoch or 1)):
            return f"line {number:,} is of epoch {m.epoch:,} and step {m.step:,}"
    due = (step or 0) // per_epoch if per_epoch else 0
    if due > len(history):
        return f"{due:,} epochs came before the checkpoint, and {len(history):,} have a line"
    return None


def _metrics(run: Run, history: list[EpochMetrics], step: int | None, wrong: str | None) -> Finding:
    if wrong:
        without = f"the model and {_resume(run.path)} do without, curves and --patience do not"
        fix = f"restore it from a copy; {without}"
        return Finding(METRICS, wrong, fix, damage=True)
    if is_cut_short(run.path / METRICS):
        fix = f"{_resume(run.path)} trains that epoch again"
        return Finding(METRICS, "its last line was cut short", fix)
    beyond = sum(m.step > (step or 0) for m in history)
    if beyond:
        fix = f"{_resume(run.path)} trains them again"
        return Finding(METRICS, f"epochs newer than the newest checkpoint: {beyond:,}", fix)
    return Finding(METRICS, f"{len(history):,} whole lines, none newer than the checkpoints")


def _progress(run: Run, history: list[EpochMetrics]) -> Finding:
    done, asked = len(history), run.config.train.epochs
    found = f"{done:,} of {asked:,} epochs"
    if done < asked and out_of_patience(history, run.config.train):
        return Finding("training", f"{found}, ended early by --patience")
    return Finding("training", found, None if done >= asked else f"{_resume(run.path)} goes on")


def _device(run: Run) -> Finding:
    try:
        device = resolve_device(run.config.train.device)
    except ElboroomError as error:
        return Finding("device", f"training cannot go on here: {error.why}", error.fix)
    return Finding("device", f"training goes on by {device.type}")


def _results(run: Run, steps: Steps) -> Iterator[Finding]:
    """What was made of the model: whether it can be read, and of which checkpoint it is."""
    evaluate = f"`elboroom evaluate {run.path}`"
    yield from _result(run, steps, "evaluation.json", evaluate)
    if _are_apart(run):
        found = "is of another evaluation than evaluation.json: one of them was cut short"
        yield Finding("evaluation.npz", found, evaluate)
    else:
        yield from _result(run, steps, "evaluation.npz", evaluate)
    yield from _result(run, steps, "report.html", f"`elboroom report {run.path}`")
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
    source = _source(run, steps, name.replace(".npz", ".json"))  # which says it of both
    if source is None:
        yield Finding(name, "older than the newest checkpoint", fix)
    else:
        yield Finding(name, f"made from {source}")


def _are_apart(run: Run) -> bool:
    """Whether the means of evaluation.npz are others than evaluation.json has."""
    try:
        evaluation = run.read_evaluation()
        said = {} if evaluation is None else told(run, evaluation).estimates
        arrays = read_archive(run.path / "evaluation.npz", _LARGEST / 2**30, copies=1)
        means = {name: Estimate.of(torch.from_numpy(array)).mean for name, array in arrays.items()}
    except (ElboroomError, TypeError, *_UNREADABLE):
        return False  # which is told of the one that cannot be read
    return not all(n in means and _agree(e.get("mean"), means[n]) for n, e in said.items())


def _agree(said: float | None, mean: float) -> bool:
    """Whether JSON says that mean; it has null for what is not finite."""
    return math.isclose(mean, said, rel_tol=1e-9) if said is not None else not math.isfinite(mean)


def _source(run: Run, steps: Steps, name: str) -> str | None:
    """Which checkpoint a result is made from, the newest or the best; None if neither."""
    with suppress(RunError):  # which is told of the file that cannot be read
        for which, step in steps.items():
            if step is not None and run.holds(name, step):
                return f"the {which} checkpoint"
    return None


def _figures(run: Run, steps: Steps) -> Iterator[Finding]:
    files = sorted(f for f in (run.path / "figures").glob("[!.]*.*") if f.is_file())
    sources = {file.name: _source(run, steps, f"figures/{file.name}") for file in files}
    old = [name for name, source in sources.items() if source is None]
    if old:
        found = f"older than the newest checkpoint: {', '.join(old)}"
        yield Finding("figures", found, " and ".join(_redrawing(run, old)))
    elif sources:
        made = " and ".join(sorted({str(source) for source in sources.values()}))
        yield Finding("figures", f"{len(sources)} files, made from {made}")


def _redrawing(run: Run, names: list[str]) -> Iterator[str]:
    """The commands that draw these files."""
    completions = sum(name.startswith("complete-") for name in names)
    if completions < len(names):
        yield f"`elboroom figures {run.path}`"
    if completions:
        yield f"`elboroom complete {run.path} --mask MASK`"


def _require_archive(content: bytes) -> None:
    with zipfile.ZipFile(BytesIO(content)) as archive:
        wrong = archive.testzip()
    if wrong is not None:
        raise ValueError(f"{wrong} does not match its checksum")


_UNREADABLE = (OSError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error)
_CHECKS: dict[str, Callable[[bytes], object]] = {".json": parse_json, ".npz": _require_archive}


def _left(path: Path) -> Iterator[Finding]:
    lost = unnamed(path / "checkpoints")
    for part in left_aside(path):
        name, found = str(part.relative_to(path)), "is no part of the run"
        fix = "remove it, once nothing trains this run: a writer was stopped"
        if part in lost:
            found = f"is {lost[part].name}, whose replacement was cut short"
            fix = f"{_resume(path)} gives it its name back"
        yield Finding(name, found, fix)
