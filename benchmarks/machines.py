"""Several processes on one machine against one: results, pace, kills, and a model of the pace."""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import Row
from benchmarks.scaling_model import Link, Pace
from elboroom.config import PRESETS

_CORES = os.cpu_count() or 1
_SEEDS, _REPEATS, _PREDICTIONS, _KILLS = 3, 7, 3, 20
_LONGEST = 60.0  # seconds from a kill to the next step; more counts as a hang
_NAMES = {
    "mlp": "784–400–20, batch 1,024",
    "pictures": "--preset pictures, 64 × 64 × 3, batch 64",
}
_STEPS = {"mlp": 60, "pictures": 12}
_NODES = (8, 64, 1_024)
_ETHERNET = Link(latency=30e-6, bandwidth=1.25e9)  # 10 Gbit/s; the latency is assumed
_SMALL = ["--preset", "reference", "--epochs", "40", "--evaluate-every", "40"]
_KILLED = ["--hidden", "64", "--latents", "4", "--batch-size", "100", "--threads", "1"]


def measure(quick: bool) -> Iterator[Row]:
    """Measure all rows; `quick` takes few steps and kills, and judges nothing."""
    with tempfile.TemporaryDirectory() as folder:
        for row in _rows(Path(folder), quick):
            yield replace(row, reach=None) if quick else row


def _rows(folder: Path, quick: bool) -> Iterator[Row]:
    yield from _gradients(folder)
    for name in _NAMES:
        yield from _pace(folder, name, quick)
    yield from _presets(folder, quick)
    yield from _evaluation(folder, quick)
    yield from _held_out(folder, quick)
    yield from _kills(folder, quick)


def _gradients(folder: Path) -> Iterator[Row]:
    """Compare gradients in float64, from the same noise of each image."""
    one = np.array(_found(folder, 1, "gradients", "mlp")["gradients"])
    for size in (2, 4):
        other = np.array(_found(folder, size, "gradients", "mlp")["gradients"])
        difference = float(np.linalg.norm(one - other) / np.linalg.norm(one))
        what = f"gradients of {size} processes against one in float64, norm of the difference"
        yield Row(what, [difference], "of the norm", 1e-10)


def _pace(folder: Path, name: str, quick: bool) -> Iterator[Row]:
    """Compare steps of as many processes as cores, of one thread each, with one of all threads."""
    count, what = str(10 if quick else _STEPS[name]), _NAMES[name]
    paces: dict[str, list[float]] = {"one": [], "several": []}
    several = dict[str, float]()
    for _ in range(1 if quick else _REPEATS):
        one = _found(folder, 1, "steps", name, "", count, threads=_CORES)
        several = _found(folder, _CORES, "steps", name, "", count)
        for key, found in (("one", one), ("several", several)):
            paces[key].append(found["images"] / found["seconds"])
    yield Row(f"{what}: 1 process × {_CORES} threads", paces["one"], "images/s", at_least=True)
    kind = f"{_CORES} processes × 1 thread"
    yield Row(f"{what}: {kind}", paces["several"], "images/s", at_least=True)
    ratios = [b / a for a, b in zip(paces["one"], paces["several"], strict=True)]
    yield Row(f"{what}: {kind} over 1 process", ratios, "×", 0.9, at_least=True)
    measured = statistics.median(paces["several"])
    predicted = [
        _predicted(folder, name, several) / measured for _ in range(1 if quick else _PREDICTIONS)
    ]
    yield Row(f"{what}: {kind}, images/s by the model over those measured", predicted, "×")


def _predicted(folder: Path, name: str, several: dict[str, float]) -> float:
    """Predict images a second from steps of one process on its share, all cores at work."""
    shares = [int(several["images"]) // _CORES // divisor for divisor in (1, 2)]
    times = [_side_by_side(folder, name, share) for share in shares]
    sizes = (1_024, int(several["bytes"]))
    latency, whole = (_found(folder, _CORES, "reduction", str(s))["seconds"] for s in sizes)
    link = Link.measured(_CORES, latency, sizes[1], whole)
    pace = Pace.measured(dict(zip(shares, times, strict=True)), int(several["bytes"]))
    return several["images"] / pace.seconds(int(several["images"]), _CORES, link)


def _side_by_side(folder: Path, name: str, share: int) -> float:
    """Time steps on a share in as many processes as cores that know nothing of each other."""
    outs = [folder / f"apart-{number}.json" for number in range(_CORES)]
    started = [
        subprocess.Popen(_line(1, "steps", out, name, share, 20), env=_env(1)) for out in outs
    ]
    assert all(process.wait() == 0 for process in started)
    return max(json.loads(out.read_text())["seconds"] for out in outs)


def _presets(folder: Path, quick: bool) -> Iterator[Row]:
    """Predict how many times as fast nodes like this one are together, from steps of this one."""
    for name in ["reference", "pictures"] if quick else [n for n in PRESETS if n != "own"]:
        whole = _found(folder, 1, "steps", name, "", "20", threads=_CORES)
        batch = int(whole["images"])
        part = _found(folder, 1, "steps", name, str(batch // 4), "20", threads=_CORES)
        times = {batch // 4: part["seconds"], batch: whole["seconds"]}
        pace = Pace.measured(times, int(whole["bytes"]))
        what = f"{name}, batch {batch}, {whole['bytes'] / 1e6:.1f} MB of gradient, a step"
        yield Row(what, [1e3 * whole["seconds"]], "ms")
        yield Row(
            f"{name}: part of a step that does not depend on its rows", [1e3 * pace.fixed], "ms"
        )
        for nodes in _NODES:
            gain = nodes * pace.efficiency(batch, nodes, _ETHERNET)
            what = f"{name}: predicted pace of {nodes:,} nodes like this one over one, 10 Gbit/s"
            yield Row(what, [gain], "×", at_least=True)


def _evaluation(folder: Path, quick: bool) -> Iterator[Row]:
    """Evaluate the same run by one process and by two."""
    run, k = folder / "evaluated", "20" if quick else "200"
    _elboroom(1, "train", *_SMALL[:2], "--epochs", "1", "--quiet", "--out", run)
    arrays, seconds = list[dict[str, np.ndarray]](), list[float]()
    for size in (1, 2):
        began = time.perf_counter()
        _elboroom(size, "evaluate", run, "--k", k, "--quiet")
        seconds.append(time.perf_counter() - began)
        with np.load(run / "evaluation.npz") as found:
            arrays.append({name: found[name] for name in found})
    one, two = arrays
    other = np.any([one[n] != two[n] for n in ("elbo", "iwae", "kl", "ess")], axis=0).sum()
    what = f"evaluate, {len(one['elbo']):,} images, K = {k}, 2 processes against 1 × {_CORES}"
    yield Row(f"{what}: images with other numbers", [float(other)], "images", 0)
    yield Row(f"{what}: seconds", [seconds[1] / seconds[0]], "×")


def _held_out(folder: Path, quick: bool) -> Iterator[Row]:
    """Train the reference preset by one, two and three processes, from the same seeds."""
    found: dict[int, list[float]] = {}
    for size in (1, 2, 3):
        for seed in range(1 if quick else _SEEDS):
            run = folder / f"{size}-{seed}"
            options = [*_SMALL[:2], "--epochs", "2"] if quick else _SMALL
            _elboroom(size, "train", *options, "--seed", seed, "--quiet", "--out", run)
            last = (run / "metrics.jsonl").read_text().splitlines()[-1]
            found.setdefault(size, []).append(json.loads(last)["held_out_elbo"])
    for size, elbos in found.items():
        what = f"reference, 40 epochs, {size} process{'es' * (size > 1)}: held-out ELBO"
        yield Row(what, elbos, "nats per image", at_least=True)
    means = [statistics.mean(elbos) for elbos in found.values()]
    seeds = max(max(elbos) - min(elbos) for elbos in found.values()) or 1.0
    what = "reference: spread of the means over 1, 2, 3 processes, over that of seeds"
    yield Row(what, [(max(means) - min(means)) / seeds], "×", 1)


def _kills(folder: Path, quick: bool) -> Iterator[Row]:
    """Kill a random process of a run again and again, and compare its end with an undisturbed."""
    kills, epochs = (2, 60) if quick else (_KILLS, 150)
    options = [*_KILLED, "--epochs", epochs, "--quiet", "--checkpoint-minutes", "0.01"]
    whole, broken = folder / "undisturbed", folder / "killed"
    _elboroom(2, "train", *options, "--resume-or-start", whole)
    line = _line(2, "", None, "train", *options, "--resume-or-start", broken, restarts=kills + 5)
    launcher = subprocess.Popen(line, env=_env(1), stderr=subprocess.DEVNULL)
    done, hangs = _kill_often(launcher, broken, kills)
    assert launcher.wait(timeout=600) == 0
    ends = [max((run / "checkpoints").iterdir()) for run in (whole, broken)]
    names = ("model.safetensors", "optimizer.safetensors")
    other = sum((ends[0] / n).read_bytes() != (ends[1] / n).read_bytes() for n in names)
    yield Row("kill -9 of a random process: kills", [float(done)], "kills", kills, at_least=True)
    yield Row("kill -9: waits of over a minute for the next step", [float(hangs)], "hangs", 0)
    yield Row("kill -9: files of the end that differ from an undisturbed run", [other], "files", 0)


def _kill_often(launcher: "subprocess.Popen[bytes]", run: Path, kills: int) -> tuple[int, int]:
    """Kill a process once steps go on after the last kill; count kills, and waits that are long."""
    chance, hangs = random.Random(0), 0
    for number in range(kills):
        seen, began = _progress(run), time.monotonic()
        while _progress(run) == seen and launcher.poll() is None:
            hangs += time.monotonic() - began > _LONGEST
            began = time.monotonic() if time.monotonic() - began > _LONGEST else began
            time.sleep(0.02)
        ranks = _children(launcher.pid)
        if launcher.poll() is not None or not ranks:
            return number, hangs
        time.sleep(chance.random())
        os.kill(chance.choice(ranks), 9)
    return kills, hangs


def _progress(run: Path) -> set[str]:
    """Return the names of the checkpoints of a run."""
    folder = run / "checkpoints"
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def _children(pid: int) -> list[int]:
    """Return the processes that torchrun started."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


def _found(folder: Path, size: int, what: str, *arguments: str, threads: int = 1) -> dict[str, Any]:
    """Run a measurement in some processes, and return what the first one wrote."""
    out = folder / "found.json"
    subprocess.run(_line(size, what, out, *arguments), env=_env(threads), check=True)
    return json.loads(out.read_text())


def _elboroom(size: int, *arguments: object) -> None:
    threads = _CORES if size == 1 else 1
    line = _line(size, "", None, *arguments)
    subprocess.run(line, env=_env(threads), check=True, stdout=subprocess.DEVNULL)


def _line(
    size: int, what: str, out: Path | None, *arguments: object, restarts: int = 0
) -> list[str]:
    """Return the command line of a measurement, or of elboroom, in some processes."""
    launcher = [sys.executable]
    if size > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={size}"]
        launcher += [f"--max-restarts={restarts}"]
    own = ["benchmarks.runners.ranks", what, str(out)] if out else ["elboroom"]
    return [*launcher, "-m", *own, *map(str, arguments)]


def _env(threads: int) -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": str(threads), "GOMP_SPINCOUNT": "10000"}
