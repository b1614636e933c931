"""The cost of a training step as the data grows: 60 thousand, a million, ten million images.

The files are written where Python keeps temporary ones (`TMPDIR`): 9 GB. Linux only.
"""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.results import Row
from elboroom import VAE, DataConfig, ModelConfig, TrainConfig, load_data, train
from elboroom.data.mnist import read_mnist
from elboroom.randomness import stream
from elboroom.training.state import new_state

_SIZES, _STEPS, _REPEATS, _MEMORY = (60_000, 1_000_000, 10_000_000), 2_000, 3, DataConfig.memory
_QUICK_SIZES, _QUICK_STEPS, _QUICK_MEMORY = (2_000, 20_000), 60, 0.02
_WARM_UP = 20  # steps
_BATCH = 128
_KIB, _GIB = 2**10, 2**30
_POLL = 0.02  # seconds


@dataclass(frozen=True)
class _Found:
    """The measurements of one process.

    Attributes:
        pace: images a second, once steps are under way.
        start: seconds from the first byte that is read to the end of the first step.
        anonymous: its largest anonymous memory in GiB, which files that are mapped are not part of.
    """

    pace: float
    start: float
    anonymous: float = 0.0


def rows(quick: bool) -> list[Row]:
    """Train 784–400–20 on digits that repeat; each process is measured from outside."""
    sizes = _QUICK_SIZES if quick else _SIZES
    how = (_QUICK_STEPS, _QUICK_MEMORY) if quick else (_STEPS, _MEMORY)
    with tempfile.TemporaryDirectory() as folder:
        files = {size: _written(Path(folder) / f"{size}.npy", size) for size in sizes}
        tries = [
            {size: _measured(file, *how) for size, file in files.items()}
            for _ in range(1 if quick else _REPEATS)
        ]
    memory, first, last = how[1], sizes[0], sizes[-1]
    ratios = [found[last].pace / found[first].pace for found in tries]
    peaks = [max(found[size].anonymous for size in sizes) for found in tries]
    return [
        *(row for size in sizes for row in _of_size(size, [found[size] for found in tries])),
        Row(
            f"images/s of {last:,} images over that of {first:,}",
            ratios,
            "×",
            None if quick else 0.9,
            at_least=True,
        ),
        Row(
            f"anonymous memory at its peak, any number of images, --memory {memory:g}",
            peaks,
            "GiB",
            None if quick else memory,
        ),
    ]


def _of_size(size: int, found: list[_Found]) -> list[Row]:
    return [
        Row(f"{size:,} images: training", [f.pace for f in found], "images/s", at_least=True),
        Row(
            f"{size:,} images: from reading the file to the first step",
            [f.start for f in found],
            "s",
        ),
        Row(f"{size:,} images: anonymous memory at its peak", [f.anonymous for f in found], "GiB"),
    ]


def _written(path: Path, size: int) -> Path:
    """Write `size` digits to a `.npy`, some at a time."""
    digits = read_mnist().train.images[:, 0]
    header = {"descr": "|u1", "fortran_order": False, "shape": (size, *digits.shape[1:])}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, size, len(digits)):
            digits[: size - start].tofile(file)
    return path


def _measured(path: Path, steps: int, memory: float) -> _Found:
    """Train in a process of its own, and measure its memory from here."""
    command = [sys.executable, "-m", "benchmarks.scaling", str(path), str(steps), str(memory)]
    process, peak = subprocess.Popen(command, stdout=subprocess.PIPE, text=True), 0.0
    while process.poll() is None:
        peak = max(peak, _anonymous(process.pid))
        time.sleep(_POLL)
    assert process.stdout is not None
    with process.stdout as printed:
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        return _Found(**json.loads(printed.read()) | {"anonymous": peak})


def _anonymous(pid: int) -> float:
    """Return the anonymous memory in GiB of a process, 0 if it has ended."""
    status = Path(f"/proc/{pid}/status").read_text()
    kib = [line.split()[1] for line in status.splitlines() if line.startswith("RssAnon")]
    return int(kib[0]) * _KIB / _GIB if kib else 0.0


def _train(path: str, steps: int, memory: float) -> _Found:
    clock = time.perf_counter()
    data = load_data(DataConfig(path, "dynamic", memory=memory))
    model = VAE.from_config(
        ModelConfig(20, (400,)), data.event_shape, generator=stream(0, "weights")
    )
    endless = TrainConfig(epochs=10**6, batch_size=_BATCH, evaluate_every=10**6, device="cpu")
    state, ticks = new_state(model), dict[int, float]()

    def stop() -> bool:
        ticks.setdefault(state.step, time.perf_counter())
        return state.step == _WARM_UP + steps

    train(model, data, endless, state=state, stop=stop)
    pace = steps * _BATCH / (ticks[_WARM_UP + steps] - ticks[_WARM_UP])
    return _Found(pace, ticks[1] - clock)


if __name__ == "__main__":
    print(json.dumps(asdict(_train(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))))
