"""A loop over JPEGs in several processes, by Pillow and numpy alone: the reference of packing."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

Job = tuple[Sequence[str], Path, int, int, bool]


def loop(job: Job) -> int:
    """Shrink some pictures to rows of a `.npy`, and return how many.

    Args:
        job: the files, the `.npy` of shape (N, 3, S, S), the row of the first file, the side S, and
            True to let Pillow decode at a smaller scale, of at least 2 S.
    """
    files, out, start, side, drafted = job
    rows = np.load(out, mmap_mode="r+")
    for row, file in enumerate(files, start):
        with Image.open(file) as picture:
            if drafted:
                picture.draft("RGB", (2 * side, 2 * side))
            small = picture.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
        rows[row] = np.moveaxis(np.asarray(small), -1, 0)
    return len(files)


def in_processes(
    pool: ProcessPoolExecutor,
    workers: int,
    files: Sequence[str],
    out: Path,
    *,
    side: int,
    drafted: bool,
) -> None:
    """Write `out` by the workers of a pool, each of which takes as many files as another."""
    np.lib.format.open_memmap(out, "w+", np.uint8, (len(files), 3, side, side)).flush()
    ends = np.linspace(0, len(files), workers + 1).astype(int).tolist()
    parts = [(files[a:b], out, a, side, drafted) for a, b in pairwise(ends)]
    assert sum(pool.map(loop, parts)) == len(files)
