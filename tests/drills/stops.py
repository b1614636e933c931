"""Runs that a signal stops, and compared with a run that was not stopped."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from tests.drills import children
from tests.drills.kills import damage, differences

# SIGUSR1 is 10 in Linux and 30 in macOS.
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGUSR1: 128 + signal.SIGUSR1}
LONGEST = 10.0  # seconds from a signal to the end of the process


@dataclass(frozen=True)
class Stop:
    """The history of a run that was stopped.

    Attributes:
        seconds: time from the signal to the end of the process.
        faults: what was wrong at that end, with the run then, or at the end of training.
    """

    seconds: float
    faults: list[str]


def stop(options: list[str], number: int, delay: float, through: Path, folder: Path) -> Stop:
    """Train a run in `folder`, stop it by a signal, resume it, and compare its end.

    Args:
        options: options of the training.
        number: number of the signal.
        delay: seconds from the first epoch to the signal.
        through: run with the same options that was not stopped.
        folder: empty folder.
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
    faults += [] if children.end(again) == 0 else ["it cannot be resumed"]
    printed = log.read_text()
    return Stop(seconds, faults + ([printed] if printed else differences(run, through)))
