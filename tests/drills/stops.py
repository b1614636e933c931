"""Runs that a signal stops, and what became of them."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from tests.drills import children
from tests.drills.kills import damage, differences

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGUSR1: 138}
LONGEST = 10.0  # seconds from a signal to the end of the process


@dataclass(frozen=True)
class Stop:
    """Of a run.

    Attributes:
        seconds: from the signal to the end of the process.
        faults: what was wrong with that end, with the run then, or with its own end.
    """

    seconds: float
    faults: list[str]


def stop(options: list[str], number: int, delay: float, through: Path, folder: Path) -> Stop:
    """Train a run in `folder`, stop it by a signal, go on, and see how it ends.

    Args:
        options: of the training.
        number: of the signal.
        delay: seconds from the first epoch to the signal.
        through: the run that was trained by the same options and not stopped.
        folder: is empty.
    """
    run, log = folder / "run", folder / "log"
    line = [*options, "--checkpoint-minutes", "inf", "--out", str(run)]
    child = children.start(children.elboroom, log, ["train", *line])
    while not (run / "metrics.jsonl").exists():
        assert child.is_alive(), log.read_text()
        time.sleep(0.002)
    time.sleep(delay)
    assert child.pid is not None
    sent = time.monotonic()
    os.kill(child.pid, number)
    code, seconds = children.end(child), time.monotonic() - sent
    faults = [] if code == CODES[signal.Signals(number)] else [f"it exits with {code}"]
    faults += [f"it has taken {seconds:.1f} s"] if seconds > LONGEST else []
    faults += damage(run) if (run / "checkpoints").exists() else ["it has saved nothing"]
    again = children.start(children.elboroom, log, ["train", "--resume", str(run), "--quiet"])
    faults += [] if children.end(again) == 0 else ["it cannot be gone on with"]
    said = log.read_text()
    return Stop(seconds, faults + ([said] if said else differences(run, through)))
