"""Every imputer of tables behind one call, each in a process of its own."""

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from benchmarks import peers
from benchmarks.peers.table_task import Filled, Task

OURS = "elboroom"
NAMES = {
    OURS: "elboroom",
    "mean": "mean or mode",
    "knn": "KNNImputer",
    "ridge": "IterativeImputer, Bayesian ridge",
    "trees": "IterativeImputer, extra trees (missForest)",
    "mice": "IterativeImputer, sample_posterior (MICE), 20 seeds",
    "miceforest": "miceforest, 20 data sets",
    "miwae": "MIWAE, as published",
}
"""What each method is called in rows."""
PEERS = tuple(name for name in NAMES if name != OURS)
DRAWING = ("mice", "miceforest", "miwae")
"""The peers that draw imputations."""
_ROOT = Path(__file__).parents[2]


def fill(method: str, tasks: Sequence[Task], threads: int = 1) -> list[Filled]:
    """Fill tables one after another in one process."""
    with tempfile.TemporaryDirectory() as made:
        paths = [
            (Path(made) / f"{n}.npz", Path(made) / f"{n}-filled.npz") for n in range(len(tasks))
        ]
        for task, (path, _) in zip(tasks, paths, strict=True):
            task.write(path)
        _run(method, [path for pair in paths for path in pair], threads)
        return [Filled.read(result) for _, result in paths]


def _run(method: str, paths: list[Path], threads: int) -> None:
    if method == OURS:
        command = [sys.executable, "-m", "benchmarks.runners.table_imputer", *map(str, paths)]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        subprocess.run(command, check=True, env=environment, cwd=_ROOT)
    elif method == "miwae":
        peers.run("table_miwae.py", *paths, threads=threads)
    else:
        peers.run("table_imputers.py", method, *paths, threads=threads)


@cache
def version(method: str) -> str:
    """Return a digest of all source of elboroom; nothing for a peer, whose version is pinned."""
    if method != OURS:
        return ""
    files = [*(_ROOT / "src").rglob("*.py"), _ROOT / "benchmarks/runners/table_imputer.py"]
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
