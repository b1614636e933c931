"""Runs that are killed again and again, and compared with a run that was not."""

import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from random import Random

from elboroom.errors import ElboroomError
from elboroom.runs.checkpoints.listing import newest_first
from elboroom.runs.doctor.run_folder import check_run
from elboroom.runs.run import Run
from tests.drills import children
from tests.support.outcomes import last_checkpoint, metrics

EVERY_STEP = ("--checkpoint-minutes", "1e-9")
_CALLS, _SYNCS = 50, 12  # in a few saves
_KILLS_PER_RUN = 25


@dataclass(frozen=True)
class Kill:
    """A kill -9, before a system call or after some time.

    Attributes:
        call: number of the call, from 1; 0 for a kill after `seconds`.
        saving: count only calls that write a checkpoint.
        torn: count only syncs of files, and cut the last byte off the file, as a power cut may.
        seconds: time from the first checkpoint that the process writes, or from its start.
        training: count the time from that checkpoint.
    """

    call: int = 0
    saving: bool = False
    torn: bool = False
    seconds: float = 0.0
    training: bool = False


def kills(random: Random) -> Iterator[Kill]:
    """Yield kills without end.

    Half come within a save, a third at any moment, mostly of training, the rest within any write.
    """
    while True:
        yield Kill(random.randint(1, _CALLS), saving=True)
        yield Kill(seconds=random.uniform(0.0, 0.2), training=True)
        yield Kill(random.randint(1, _SYNCS), saving=True, torn=True)
        yield Kill(random.randint(1, _CALLS))
        yield Kill(random.randint(1, _CALLS), saving=True)
        at_begin = random.random() < 0.2
        yield Kill(seconds=random.uniform(0.0, 1.0 if at_begin else 0.2), training=not at_begin)


@dataclass
class Story:
    """The history of one run.

    Attributes:
        run: folder of the run.
        killed: kills that it went through.
        faults: what was wrong after a kill, or at the end.
    """

    run: Path
    killed: list[Kill] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def stories(
    options: list[list[str]], number: int, places: Iterator[Path], random: Random
) -> Iterator["Story"]:
    """Yield runs of each of the options in turn, until there were enough kills, half within a save.

    Args:
        options: options of each training.
        number: number of kills.
        places: empty folders.
        random: random generator that draws the kills.
    """
    killed, within = 0, 0
    through = [trained_through(line, next(places)) for line in options]
    for line, unharmed in cycle(zip(options, through, strict=True)):
        if killed >= number and 2 * within >= number:
            return
        coming = islice(kills(random), _KILLS_PER_RUN)
        one = story(line, coming, unharmed, next(places))
        killed, within = killed + len(one.killed), within + sum(k.saving for k in one.killed)
        yield one


def story(
    options: list[str],
    coming: Iterable[Kill],
    through: Path,
    folder: Path,
    dying: Callable[..., None] = children.dying,
) -> Story:
    """Train a run in `folder`, resume it after each kill, and compare its end with another run.

    Args:
        options: options of the training, with how often it is saved.
        coming: kills; those after the end of training are not used.
        through: run with the same options that was not killed.
        folder: empty folder.
        dying: function that trains up to a kill; another one is a control.
    """
    found, log = Story(folder / "run"), folder / "log"
    for kill in coming:
        code = _life(found.run, options, log, kill, dying)
        if code != -signal.SIGKILL:
            found.faults += [] if code == 0 else [f"it ends with {code}"]
            break
        found.killed.append(kill)
        found.faults += damage(found.run)
    if (found.run / "config.toml").exists() and _life(found.run, options, log):
        found.faults.append("it cannot be resumed")
    warned = log.read_text()
    found.faults += [warned] if warned else differences(found.run, through)
    return found


def _life(
    run: Path,
    options: list[str],
    log: Path,
    kill: Kill | None = None,
    dying: Callable[..., None] = children.dying,
) -> int:
    """Train until the end, or until a kill; return the exit code."""
    line = [*options, "--out", str(run)]
    if (run / "config.toml").exists():
        line = ["--resume", str(run), "--quiet"]
    if kill is not None and kill.call:
        how = kill.call, kill.saving, kill.torn
        return children.end(children.start(dying, log, ["train", *line], *how))
    before, child = _checkpoints(run), children.start(children.elboroom, log, ["train", *line])
    if kill is not None:
        while kill.training and child.is_alive() and _checkpoints(run) <= before:
            time.sleep(0.001)
        time.sleep(kill.seconds)
        child.kill()
    return children.end(child)


def _checkpoints(run: Path) -> set[str]:
    """Return the names of the checkpoints."""
    return {path.name for path in newest_first(run / "checkpoints")}


def damage(run: Path) -> list[str]:
    """Return the damage that `elboroom doctor` finds."""
    if not (run / "config.toml").exists():
        return []  # killed before there was a run
    return [str(found) for found in check_run(run) if found.damage]


def differences(run: Path, through: Path) -> list[str]:
    """Compare the end of two runs: the newest checkpoint, the metrics and the best weights."""
    try:
        same = {
            "checkpoint": last_checkpoint(run) == last_checkpoint(through),
            "metrics": metrics(run) == metrics(through),
            "best weights": weights(run, best=True) == weights(through, best=True),
        }
    except (OSError, ValueError, ElboroomError) as error:
        return [f"no end: {error}"]
    return [f"another {name}" for name, is_same in same.items() if not is_same]


def weights(run: Path, *, best: bool) -> dict[str, bytes]:
    state = Run(run).load_model(best=best).state_dict()
    return {name: tensor.numpy().tobytes() for name, tensor in state.items()}


def trained_through(options: list[str], folder: Path) -> Path:
    """Train a run that is not killed, and saved only at its end."""
    run, log = folder / "run", folder / "log"
    line = ["train", *options, "--checkpoint-minutes", "inf", "--out", str(run)]
    code = children.end(children.start(children.elboroom, log, line))
    assert (code, log.read_text()) == (0, ""), log.read_text()
    return run
