"""Runs that are killed again and again, and what became of them."""

import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from random import Random

from elboroom.errors import ElboroomError
from elboroom.runs.checkpoints.checkpoint import newest_first
from elboroom.runs.doctor.run_folder import examine
from elboroom.runs.run import Run
from tests.drills import children
from tests.support.outcomes import last_checkpoint, metrics

EVERY_STEP = ("--checkpoint-minutes", "1e-9")
_CALLS, _SYNCS = 50, 12  # of a few saves
_A_STORY = 25  # kills of one run


@dataclass(frozen=True)
class Kill:
    """By kill -9, before a call of the system or at a moment.

    Attributes:
        call: before which it comes, counted from 1; 0 where it comes after `seconds`.
        saving: whether those calls alone count that write a checkpoint.
        torn: whether it comes as a file is about to be synced, which loses its last byte, as in a
            power cut.
        seconds: from the first checkpoint that the process writes, or from its begin.
        training: whether they count from that checkpoint.
    """

    call: int = 0
    saving: bool = False
    torn: bool = False
    seconds: float = 0.0
    training: bool = False


def kills(random: Random) -> Iterator[Kill]:
    """Without end: half within a save, a third at any moment, mostly of training, the rest within
    any writing.
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
    """Of a run.

    Attributes:
        run: where it is.
        killed: what it was killed by.
        faults: what was wrong with it after a kill, or with its end.
    """

    run: Path
    killed: list[Kill] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def stories(
    options: list[list[str]], number: int, places: Iterator[Path], random: Random
) -> Iterator["Story"]:
    """Runs of each of the options in turn, until there were so many kills, half within a save.

    Args:
        options: of trainings, each of which has its own.
        number: of kills.
        places: empty folders.
        random: draws them.
    """
    killed, within = 0, 0
    through = [trained_through(line, next(places)) for line in options]
    for line, unharmed in cycle(zip(options, through, strict=True)):
        if killed >= number and 2 * within >= number:
            return
        coming = islice(kills(random), _A_STORY)
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
    """Train a run in `folder`, kill it by each that is coming, go on, and see how it ends.

    Args:
        options: of the training, which say how often it is kept.
        coming: the kills; those after its end are not used up.
        through: the run that was trained by the same options without any harm.
        folder: is empty.
        dying: trains up to a kill; another one is a control.
    """
    told, log = Story(folder / "run"), folder / "log"
    for kill in coming:
        code = _life(told.run, options, log, kill, dying)
        if code != -signal.SIGKILL:
            told.faults += [] if code == 0 else [f"it ends with {code}"]
            break
        told.killed.append(kill)
        told.faults += damage(told.run)
    if (told.run / "config.toml").exists() and _life(told.run, options, log):
        told.faults.append("it cannot be gone on with")
    warned = log.read_text()
    told.faults += [warned] if warned else differences(told.run, through)
    return told


def _life(
    run: Path,
    options: list[str],
    log: Path,
    kill: Kill | None = None,
    dying: Callable[..., None] = children.dying,
) -> int:
    """Train until the end, or until it is killed; the exit code."""
    line = [*options, "--out", str(run)]
    if (run / "config.toml").exists():
        line = ["--resume", str(run), "--quiet"]
    if kill is not None and kill.call:
        how = kill.call, kill.saving, kill.torn
        return children.end(children.start(dying, log, ["train", *line], *how))
    before, child = _kept(run), children.start(children.elboroom, log, ["train", *line])
    if kill is not None:
        while kill.training and child.is_alive() and _kept(run) <= before:
            time.sleep(0.001)
        time.sleep(kill.seconds)
        child.kill()
    return children.end(child)


def _kept(run: Path) -> set[str]:
    """The names of the checkpoints."""
    return {path.name for path in newest_first(run / "checkpoints")}


def damage(run: Path) -> list[str]:
    """What a look at the run says is damaged."""
    if not (run / "config.toml").exists():
        return []  # it was killed before there was a run
    return [str(found) for found in examine(run) if found.damage]


def differences(run: Path, through: Path) -> list[str]:
    """In what a run ended otherwise than another: its weights, optimiser, metrics, best weights."""
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
    """A run without any harm, kept at its end alone."""
    run, log = folder / "run", folder / "log"
    line = ["train", *options, "--checkpoint-minutes", "inf", "--out", str(run)]
    code = children.end(children.start(children.elboroom, log, line))
    assert (code, log.read_text()) == (0, "")
    return run
