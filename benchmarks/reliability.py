"""Survival of runs: the drills that the tests run in a small form, at full size."""

import errno
import json
import math
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from importlib.util import find_spec
from itertools import cycle, islice, product
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from safetensors import SafetensorError
from safetensors.torch import load

from benchmarks.fuzzer import Found
from benchmarks.results import Row
from elboroom.cli import train as train_command
from elboroom.cli.main import main
from elboroom.runs.autosave import Autosave
from tests.drills import careless, children, corruptions, power_cuts, saves
from tests.drills.faults import Disk, small_disk
from tests.drills.kills import EVERY_STEP, kills, stories, story, trained_through
from tests.drills.stops import CODES, LONGEST, stop
from tests.hostile import controls
from tests.hostile.case import SECONDS
from tests.hostile.corpus import CORPUS
from tests.hostile.targets import TARGETS
from tests.support import golden_runs
from tests.support.checkpoint_cases import flip
from tests.support.small_run import small_options, write_digits

_KILLS, _STOPS, _SAVES, _TRAININGS, _CORRUPTIONS, _MUTATIONS = 300, 30, 200, 60, 5_000, 200_000
_QUICK_KILLS, _QUICK_STOPS, _QUICK_TRAININGS, _QUICK_CORRUPTIONS = 15, 2, 5, 200
_QUICK_MUTATIONS = 3_200
_FLIPS, _TINY = 300, 64  # bits; KiB
_SELDOM = ("--checkpoint-minutes", "0.001")
_CODES = (errno.ENOSPC, errno.EIO, errno.EROFS)
_SHARE = 2.0  # % of a run of a minute that checkpoints may take
_CONTROLS = {
    "config.toml": "options",
    "model.safetensors with a true manifest": "tensors",
    "a folder of PNG": "bombs in folders",
}
"""Readers of mutated files, and the check that is taken out of each."""
_CONTROL_FILES = 3_000
_RUNS = {
    "elbo": [],
    "iwae": ["--objective", "iwae", "--k", "3", "--gradient", "dreg", "--network", "residual"],
    "vamp": ["--prior", "vamp", "--components", "5", "--binarisation", "dynamic"],
    "norm": ["--normalisation", "batch", "--schedule", "cosine", "--warmup", "3"],
    "real": ["--binarisation", "none", "--likelihood", "gaussian", "--posterior", "full"],
}
"""Kinds of training, by name: what they add to the options of a small one."""


def measure(quick: bool) -> Iterator[Row]:
    """Measure all rows. Linux only, and where mounting is permitted."""
    if find_spec("atheris") is None:
        sys.exit('atheris mutates files: pip install -c constraints.txt -e ".[dev,fuzz]"')
    with TemporaryDirectory() as folder:
        with small_disk(Path(folder) / "tiny", _TINY):
            pass  # fail before the long drills where mounting is not permitted
        places = (Path(folder) / str(number) for number in range(10**6))
        digits = write_digits(Path(folder) / "digits.npz")
        for drill in (_killed, _stopped, _failing, _corrupted):
            yield from drill(quick, small_options(digits), _made(places))
        yield from _hostile()
        yield from _mutated(quick, _made(places))
        yield from _golden(places)
        yield _cost(quick, next(places))


def _made(places: Iterator[Path]) -> Iterator[Path]:
    """Yield empty folders."""
    for place in places:
        place.mkdir()
        yield place


def _faults(what: str, found: list[str]) -> Row:
    """Count faults, none of which are allowed; print each."""
    for fault in found:
        print(f"{what}: {fault}", file=sys.stderr)
    return Row(what, [len(found)], "faults", 0)


def _count(what: str, number: int, least: int | None, unit: str = "") -> Row:
    return Row(what, [number], unit, least, at_least=True)


def _found_out(what: str, found: int) -> Row:
    """Count the faults of a control: code without a check must have some."""
    return Row(f"control, {what}", [found], "faults", 1, at_least=True)


def _killed(quick: bool, small: list[str], places: Iterator[Path]) -> Iterator[Row]:
    number, options = _QUICK_KILLS if quick else _KILLS, _trainings(small)
    told = list(stories(options, number, places, Random(0)))
    killed = [kill for one in told for kill in one.killed]
    yield _count("kill -9: kills", len(killed), number, "kills")
    within = sum(kill.saving for kill in killed)
    yield _count("kill -9: kills within a save", within, number // 2, "kills")
    torn = sum(kill.torn for kill in killed)
    yield _count("kill -9: kills within a save that cut a file short", torn, number // 10, "kills")
    timed = sum(kill.training for kill in killed)
    yield _count("kill -9: kills at a moment of training", timed, number // 10, "kills")
    yield _faults(
        "kill -9: runs damaged, not resumed, or with another end",
        _flat(one.faults for one in told),
    )
    through = trained_through(options[0], next(places))
    coming = islice(kills(Random(1)), _QUICK_KILLS)
    one = story(options[0], coming, through, next(places), children.dying_in_place)
    yield _found_out("kill -9: a writer that renames nothing", len(one.faults))


def _trainings(small: list[str]) -> list[list[str]]:
    """Return options of trainings of all kinds, saved at every step, or several times a second."""
    how = cycle(([*EVERY_STEP, "--epochs", "40"], [*_SELDOM, "--epochs", "300"]))
    slow = ["--learning-rate", "1e-5", "--evaluate-every", "100", "--quiet"]  # none may overfit
    return [[*small, *slow, *next(how), *more] for more in _RUNS.values()]


def _flat(told: Iterable[list[str]]) -> list[str]:
    return [fault for faults in told for fault in faults]


def _stopped(quick: bool, small: list[str], places: Iterator[Path]) -> Iterator[Row]:
    options = [*small, "--epochs", "200", "--learning-rate", "1e-5", "--quiet"]
    through, random = trained_through(options, next(places)), Random(0)
    number = _QUICK_STOPS if quick else _STOPS
    for sent in CODES:
        name = signal.Signals(sent).name
        found = [
            stop(options, sent, random.uniform(0, 0.3), through, next(places))
            for _ in range(number)
        ]
        what = f"{name}, {number} times: longest time to the end"
        yield Row(what, [_longest(found)], "s", LONGEST)
        faults = _flat(one.faults for one in found)
        yield _faults(f"{name}: runs with another exit code, nothing saved, or another end", faults)


def _longest(found: list[Any]) -> float:
    return max(one.seconds for one in found)


def _failing(quick: bool, small: list[str], places: Iterator[Path]) -> Iterator[Row]:
    folder, told = next(places) / "kept", list[str | None]()
    for code, step in product(_CODES, (2, 3)):
        told += [saves.fault(folder, disk, step) for disk in saves.disks(folder, step, code)]
    what = "disk: ENOSPC, EIO, EROFS at each call of a save, once and for good"
    yield _count(what, len(told), _SAVES, "saves")
    yield _faults(
        "disk: saves with an error not raised, the last checkpoint harmed, or files left",
        _only(told),
    )
    with careless.in_place():
        told = [saves.fault(folder, disk, 3) for disk in saves.disks(folder, 3, errno.ENOSPC)]
    yield _found_out("disk: a writer in place", len(_only(told)))
    yield from _failing_trainings(quick, small, places)
    yield from _small_disks(places)


def _only(told: list[str | None]) -> list[str]:
    return [fault for fault in told if fault]


def _failing_trainings(quick: bool, small: list[str], places: Iterator[Path]) -> Iterator[Row]:
    options, random = [*small, *EVERY_STEP, "--quiet"], Random(0)
    through = trained_through(options, next(places))
    number, calls = _QUICK_TRAININGS if quick else _TRAININGS, saves.calls_of(options, next(places))
    disks = [
        Disk(random.choice(_CODES), random.randrange(calls), for_good=random.random() < 0.5)
        for _ in range(number)
    ]
    told = [saves.in_training(options, disk, through, next(places)) for disk in disks]
    yield _count("disk: ENOSPC, EIO, EROFS at any call of a training", len(told), number, "runs")
    yield _faults(
        "disk: trainings with an error not raised, or another end after resuming", _flat(told)
    )
    disk, silently = Disk(errno.ENOSPC, calls // 2, for_good=True), children.failing_silently
    untold = saves.in_training(options, disk, through, next(places), silently)
    yield _found_out("disk: a training that hides the error", len(untold))


def _small_disks(places: Iterator[Path]) -> Iterator[Row]:
    tiny, room = next(places) / "tiny", range(0, _TINY << 10, 1024)
    with small_disk(tiny, _TINY):
        told = [saves.on_a_full_disk(tiny, free) for free in room]
    yield _count(f"disk: a tmpfs of {_TINY} KiB with any room left", len(told), len(room), "saves")
    yield _faults(
        "disk: saves on a tmpfs with an error not raised, or the last checkpoint harmed",
        _only(told),
    )


def _corrupted(quick: bool, small: list[str], places: Iterator[Path]) -> Iterator[Row]:
    number = _QUICK_CORRUPTIONS if quick else _CORRUPTIONS
    told = corruptions.mishandled(next(places) / "kept", number, seed=0)
    what = "checkpoints: bits flipped, files cut, swapped, lost, overwritten"
    yield _count(what, len(told), number, "accidents")
    yield _faults("checkpoints: damage not noticed, or the one before not used", _only(told))
    with careless.without_hashes():
        told = corruptions.mishandled(next(places) / "kept", number, seed=0)
    yield _found_out("checkpoints: a reader without hashes", len(_only(told)))
    yield _unnoticed(next(places) / "kept")
    yield _faults(
        "power cut: changes of a save that a power cut could undo",
        power_cuts.volatile(next(places)),
    )
    writers: dict[str, Callable[[], AbstractContextManager[None]]] = {
        "files": careless.unsynced_files,
        "folders": careless.unsynced_folders,
    }
    for what, writer in writers.items():
        with writer():
            lost = power_cuts.volatile(next(places))
        yield _found_out(f"power cut: a writer that does not sync {what}", len(lost))


def _unnoticed(folder: Path) -> Row:
    """Count the flipped bits that safetensors loads without the manifest."""
    whole, random, loads = corruptions.saved(folder).newer["model.safetensors"], Random(0), 0
    values = 8 + int.from_bytes(whole[:8], "little")
    for _ in range(_FLIPS):
        with suppress(SafetensorError):
            load(flip(whole, random.randrange(8 * values, 8 * len(whole))))
            loads += 1
    what = f"checkpoints: flipped bits of weights, of {_FLIPS}, that safetensors alone loads"
    return Row(what, [loads], "flips")


def _hostile() -> Iterator[Row]:
    """Read the corpus in a process of its own, whose memory is limited to what it should need."""
    line = [sys.executable, "-m", "tests.hostile.corpus", "--times"]
    lines = subprocess.run(line, capture_output=True, text=True, check=True).stdout.splitlines()
    times = [float(said.split()[0]) for said in lines[:-1] if said[0].isdigit()]
    told = [said for said in lines if not said[0].isdigit()]
    yield _count("hostile files: read", len(times), len(CORPUS), "files")
    yield _faults("hostile files: crashes, executions, over 256 MB or over 2 s", told)
    yield Row("hostile files: longest time for one file", [max(times)], "s", SECONDS)
    with TemporaryDirectory() as folder:
        found = {
            f"{name}: {file}": harm
            for name in controls.CONTROLS
            for file, harm in controls.found_out(name, _within(folder, name)).items()
        }
    whole = [file for file, harm in found.items() if not harm]
    yield _faults(f"control, hostile files: of {len(found)} harmless without a check", whole)


def _within(folder: str, name: str) -> Path:
    path = Path(folder) / name
    path.mkdir()
    return path


def _mutated(quick: bool, places: Iterator[Path]) -> Iterator[Row]:
    least = _QUICK_MUTATIONS if quick else _MUTATIONS
    files = math.ceil(least / len(TARGETS))
    found = {name: _fuzzed(next(places), name, files) for name in TARGETS}
    faults = [f"{name}: {fault}" for name, one in found.items() for fault in one.faults]
    number, taken = (sum(getattr(one, n) for one in found.values()) for n in ("files", "taken"))
    yield _count(f"mutated files: read, of {len(TARGETS)} kinds", number, least, "files")
    yield Row("mutated files: accepted as whole", [taken], "files")
    yield _faults(
        "mutated files: crashes, executions, wrong types, over 256 MB or over 2 s", faults
    )
    yield Row(
        "mutated files: longest time for one file", [_longest(list(found.values()))], "s", SECONDS
    )
    for name, check in _CONTROLS.items():
        harmed = _fuzzed(next(places), name, _CONTROL_FILES, check)
        yield _found_out(f"mutated files: {name}, its check of {check}", len(harmed.faults))


def _fuzzed(folder: Path, *how: object) -> Found:
    """Fuzz in a process of its own; its death is a fault."""
    target, files, *control = map(str, how)
    line = [sys.executable, "-m", "benchmarks.fuzzer", target, files, str(folder), *control]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    shutil.rmtree(folder)
    if done.returncode:
        return Found(faults=[f"exit code {done.returncode}: {done.stderr[-2000:]}"])
    return Found(**json.loads(done.stdout))


def _golden(places: Iterator[Path]) -> Iterator[Row]:
    formats = golden_runs.GOLDEN
    faults = [fault for old in formats for fault in golden_runs.faults(old, next(places))]
    yield _count(f"formats: runs of {', '.join(formats)}", len(formats), 1, "runs")
    yield _faults("formats: runs damaged, read otherwise, or with another end", faults)


def _cost(quick: bool, place: Path) -> Row:
    """Measure the share of a whole training that its checkpoints and metrics take."""
    kept, whole = _Clock(), _Clock()
    with ExitStack() as stack:
        for name in ("on_step", "on_epoch", "save"):
            stack.enter_context(patch.object(Autosave, name, kept.timed(getattr(Autosave, name))))
        timed = whole.timed(train_command._lead)
        stack.enter_context(patch.object(train_command, "_lead", timed))
        what = ["reference", "--epochs", "2"] if quick else ["mnist-1min"]
        with suppress(SystemExit):
            main(["train", "--preset", *what, "--quiet", "--out", str(place)])
    share = 100 * kept.seconds / whole.seconds
    return Row(
        f"cost: checkpoints and metrics of {' '.join(what)}",
        [share],
        "% of its time",
        None if quick else _SHARE,
    )


class _Clock:
    """A clock of the seconds in calls; nested calls count once."""

    def __init__(self) -> None:
        self.seconds, self._within = 0.0, False

    def timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            if self._within:
                return call(*arguments, **options)
            self._within, start = True, time.perf_counter()
            try:
                return call(*arguments, **options)
            finally:
                self.seconds += time.perf_counter() - start
                self._within = False

        return timed
