"""Errors and the limit of memory that all formats share."""

from pathlib import Path

from elboroom.config import DataConfig
from elboroom.config.kinds import FORMATS
from elboroom.errors import DataError, UsageError

COPIES = 2  # images are in memory as they are read, and in the parts that are made of them


class UnreadableArrayError(ValueError):
    """An array that is never read, with the way to save it as one that is."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(why)
        self.fix = fix


class NoPicturesError(UsageError):
    """Options that prepare pictures, for data that are none."""


class BrokenPictureError(DataError):
    """A picture that cannot be read, which an option of `elboroom train` leaves out."""


class UnequalSizesError(DataError):
    """Pictures of several sizes, which an option of `elboroom train` brings to one."""


def require_no_recipe(source: str, config: DataConfig) -> None:
    """Check that no option asks for a change of pictures, for data that are none.

    Raises:
        NoPicturesError: if one does.
    """
    if config.picture_options:
        raise NoPicturesError(
            f"{' '.join(config.picture_options)} cannot be used with {source}",
            why="it holds arrays, which are taken as they are; these options prepare pictures",
            fix="leave them out",
        )


def no_pictures(path: Path) -> DataError:
    """Return the error for data that are no pictures where only pictures can be used."""
    return DataError(
        f"{path} holds no pictures",
        why="it holds arrays or numbers, which need no packing",
        fix=f"train on it as it is: elboroom train --data {path}",
    )


def cannot_read(path: Path, why: str, fix: str | None = None) -> DataError:
    """Return the error for a file that cannot be read; without a `fix`, it lists all formats."""
    every = f"give `mnist`, or the path of {'; of '.join(FORMATS.values())}"
    return DataError(f"cannot read {path} as data", why=why, fix=fix or every)


def fits(size: int, memory: float, copies: int = COPIES) -> bool:
    """Return whether `copies` of `size` bytes fit into `memory` GiB."""
    return copies * size <= memory * 2**30


def require_fit(
    path: Path, size: int, memory: float, *, what: str, fix: str, copies: int = COPIES
) -> None:
    """Check that data in a format that cannot stay on disk fits into memory.

    Args:
        path: the file or the folder.
        size: bytes of its values.
        memory: GiB that their copies may take.
        what: the values, such as "its arrays".
        fix: another way to give them.
        copies: number of copies in memory while they are read.

    Raises:
        DataError: if they do not fit.
    """
    if not fits(size, memory, copies):
        raise DataError(
            f"{path} does not fit into --memory {memory:g}",
            why=f"{what} are {size / 2**30:.3g} GiB, which reading doubles, and no part of it can "
            "stay on disk",
            fix=f"{fix}, or allow more --memory",
        )
