"""Input and output of each imputer of tables, as .npz files; only NumPy is needed."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
UNORDERED = ("binary", "category")


@dataclass(frozen=True)
class Task:
    """A table to fill.

    Attributes:
        x: (N, D), NaN where an entry is missing; a level stands as its code 0 … C − 1.
        types: real, positive, count, binary, category or ordinal, for each column.
        levels: C of each column with levels, else 0; (D,).
        draws: number m of imputations to draw, by those that can.
        seed: the seed of all noise.
    """

    x: Array
    types: list[str]
    levels: NDArray[np.int64]
    draws: int
    seed: int

    def write(self, path: Path) -> None:
        """Write the task to one .npz file."""
        np.savez(path, **asdict(self))

    @classmethod
    def read(cls, path: str | Path) -> "Task":
        """Read a file that `write` wrote."""
        a = dict(np.load(path))
        return cls(a["x"], a["types"].tolist(), a["levels"], int(a["draws"]), int(a["seed"]))

    def is_type(self, *types: str) -> NDArray[np.bool_]:
        """Return True (D,) for the columns of some types."""
        return np.isin(self.types, types)

    def complete(self, filled: Array) -> Array:
        """Return (…, N, D) with the seen entries as they are, and the others of `filled`."""
        return np.where(np.isnan(self.x), filled, self.x)

    def centre(self, draws: Array) -> Array:
        """Return the mean over draws (m, N, D) of numbers and ordinals, else the commonest code."""
        centre = draws.mean(axis=0)
        for column in np.flatnonzero(self.is_type(*UNORDERED)):
            codes = np.arange(self.levels[column])
            counts = (draws[:, :, column, None] == codes).sum(axis=0)
            centre[:, column] = counts.argmax(axis=1)
        return centre


@dataclass(frozen=True)
class Filled:
    """The answer to a task.

    Attributes:
        mean: (N, D), the point imputations; of a category, its most probable level.
        draws: (m, N, D), or (0, N, D) of an imputer that draws none.
        seconds: the time to fit and to impute, in one process of one thread, without its start.
    """

    mean: Array
    draws: Array
    seconds: float = 0.0

    def write(self, path: str | Path) -> None:
        """Write it to one .npz file."""
        np.savez(path, mean=self.mean, draws=self.draws, seconds=self.seconds)

    @classmethod
    def read(cls, path: str | Path) -> "Filled":
        """Read a file that `write` wrote."""
        a = dict(np.load(path))
        return cls(a["mean"], a["draws"], float(a["seconds"]))


def point(task: Task, filled: Array) -> Filled:
    """Return the answer of an imputer that draws nothing."""
    return Filled(task.complete(filled), np.empty((0, *task.x.shape)))


def drawn(task: Task, draws: Array) -> Filled:
    """Return the answer of an imputer that only draws."""
    return Filled(task.complete(task.centre(draws)), task.complete(draws))


def answer(imputer: Callable[[Task], Filled], paths: tuple[str, ...]) -> None:
    """Read the tasks at every second path from the first on, fill them, write beside them."""
    for path, result in zip(paths[::2], paths[1::2], strict=True):
        task, begun = Task.read(path), perf_counter()
        found = imputer(task)
        Filled(found.mean, found.draws, perf_counter() - begun).write(result)


@dataclass(frozen=True)
class Numbers:
    """A task as numbers alone, for imputers that know no categories.

    Numbers and ordinals lose the mean of the seen entries and are divided by their standard
    deviation; a binary column stays 0 or 1; a category of C levels becomes C indicators.
    """

    task: Task

    @property
    def widths(self) -> list[int]:
        """The number of columns that each column becomes."""
        category = self.task.is_type("category")
        return np.where(category, self.task.levels, 1).tolist()

    @property
    def place_and_scale(self) -> tuple[Array, Array]:
        """Subtrahend and divisor of each column, (D,)."""
        as_they_are, x = self.task.is_type(*UNORDERED), self.task.x
        spread = np.nanstd(x, axis=0)
        scale = np.where(as_they_are | (spread == 0), 1.0, spread)
        return np.where(as_they_are, 0.0, np.nanmean(x, axis=0)), scale

    def encoded(self) -> Array:
        """Return the table as numbers (N, E), NaN where missing."""
        place, scale = self.place_and_scale
        columns = zip(((self.task.x - place) / scale).T, self.widths, strict=True)
        return np.concatenate([_indicators(c, width) for c, width in columns], axis=1)

    def decoded(self, numbers: Array) -> Array:
        """Return the table (…, N, D) of numbers (…, N, E): the level of the largest indicator."""
        ends = np.cumsum(self.widths)[:-1]
        columns = np.split(numbers, ends, axis=-1)
        flat = [c[..., 0] if c.shape[-1] == 1 else c.argmax(axis=-1) for c in columns]
        place, scale = self.place_and_scale
        x = np.stack(flat, axis=-1) * scale + place
        return np.where(self.task.is_type("binary"), (x > 0.5).astype(float), x)


def _indicators(column: Array, width: int) -> Array:
    """Return a column (N,) as (N, width): indicators of its codes if the width is above one."""
    if width == 1:
        return column[:, None]
    of_level = (column[:, None] == np.arange(width)).astype(float)
    return np.where(np.isnan(column)[:, None], np.nan, of_level)
