"""The pace of `elboroom pack`, beside a loop of Pillow in as many processes.

All of them write the same bytes. Their programs have started before the time is taken, and so have
the processes of the loop. Those of `elboroom pack`, which it starts for each folder, have not.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.results import Row
from benchmarks.runners.pillow_loop import in_processes
from elboroom.cli.main import main

_PICTURES, _QUICK_PICTURES, _REPEATS = 10_000, 300, 7
_FROM, _TO = 256, 64
_DISTINCT = 500  # pictures; the others are copies, which take as long to decode


def rows(quick: bool) -> Iterator[Row]:
    """Pack JPEGs of 256 × 256 to 64 × 64."""
    pictures, repeats = (_QUICK_PICTURES, 1) if quick else (_PICTURES, _REPEATS)
    workers = os.cpu_count() or 1
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(workers, get_context("spawn")) as pool,
    ):
        files = _written(Path(folder) / "jpeg", pictures)
        out = Path(folder) / "out.npy"
        loops = {
            name: partial(in_processes, pool, workers, files, out, side=_TO, drafted=drafted)
            for name, drafted in (("decoded at a smaller scale", True), ("decoded whole", False))
        }
        programs = {"elboroom pack": partial(_pack, Path(folder) / "jpeg", out), **loops}
        in_processes(pool, workers, files[: 2 * workers], out, side=_TO, drafted=True)  # start them
        _pack(_few(files, Path(folder)), Path(folder) / "few.npy")
        found = _paces(programs, out, pictures, repeats)
    what = f"{pictures:,} JPEGs of {_FROM}² packed to {_TO}²"
    ours = found["elboroom pack"]
    yield Row(f"{what}: elboroom pack", ours, "pictures/s", at_least=True)
    for name, bound in zip(loops, (0.9, None), strict=True):
        loop = f"a Pillow loop in {workers} processes, {name}"
        yield Row(f"{what}: {loop}", found[name], "pictures/s", at_least=True)
        ratios = [a / b for a, b in zip(ours, found[name], strict=True)]
        yield Row(f"{what}: pace of elboroom over {loop}", ratios, "×", bound, at_least=True)


def _paces(
    programs: dict[str, Callable[[], None]], out: Path, pictures: int, repeats: int
) -> dict[str, list[float]]:
    """Run every program, then again: each time its pictures a second."""
    found: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(repeats):
        made = dict[str, bytes]()
        for name, program in programs.items():
            for old in out.parent.glob("out.*"):
                old.unlink()
            start = time.perf_counter()
            program()
            found[name].append(pictures / (time.perf_counter() - start))
            made[name] = out.read_bytes()
        same = made["elboroom pack"] == made["decoded at a smaller scale"]
        assert same, "elboroom pack and the loop of Pillow make other pixels"
    return found


def _few(files: list[str], folder: Path) -> Path:
    """Copy some pictures, whose packing loads what the first one needs."""
    (folder / "few").mkdir()
    for file in map(Path, files[:8]):
        (folder / "few" / file.name).write_bytes(file.read_bytes())
    return folder / "few"


def _pack(source: Path, out: Path) -> None:
    with suppress(SystemExit):
        main(["pack", str(source), str(out), "--size", str(_TO), "--quiet"])
    assert out.exists()


def _written(folder: Path, pictures: int) -> list[str]:
    """Write pictures of smooth colours and noise, of about 20 kB each, as those of photographs."""
    folder.mkdir()
    files, random = list[str](), np.random.default_rng(0)
    for number in range(pictures):
        path = folder / f"{number:05}.jpg"
        files.append(str(path))
        if number >= _DISTINCT:
            path.write_bytes(Path(files[number % _DISTINCT]).read_bytes())
            continue
        few = Image.fromarray(random.integers(0, 256, (17, 17, 3), dtype=np.uint8))
        smooth = np.asarray(few.resize((_FROM, _FROM), Image.Resampling.BICUBIC)).astype(int)
        noise = random.integers(-12, 13, (_FROM, _FROM, 1))
        Image.fromarray((smooth + noise).clip(0, 255).astype(np.uint8)).save(path, quality=85)
    return files
