"""Writers and readers that leave out what makes them safe: the drills must find each of them."""

import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest.mock import patch

from elboroom.errors import DiskError
from elboroom.runs.atomic import writing
from elboroom.runs.checkpoints import checkpoint as checkpoints
from elboroom.runs.checkpoints.checkpoint import Checkpoint
from elboroom.runs.run import Run


def _file_in_place(path: Path, content: bytes) -> None:
    with writing(path), path.open("wb", buffering=0) as file:
        file.write(content)
        os.fsync(file.fileno())


def _folder_in_place(path: Path, fill: Callable[[Path], None]) -> None:
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
        fill(path)


def _folder_unsynced(path: Path, fill: Callable[[Path], None]) -> None:
    aside = path.with_name("aside")
    _folder_in_place(aside, fill)
    shutil.rmtree(path, ignore_errors=True)
    os.replace(aside, path)


@contextmanager
def in_place() -> Iterator[None]:
    """Within the context checkpoints are written where they will be, and nothing is renamed."""
    with patch.multiple(checkpoints, write_file=_file_in_place, write_folder=_folder_in_place):
        yield


@contextmanager
def unsynced_files() -> Iterator[None]:
    """Within the context the files of a checkpoint are not synced."""
    with patch.object(checkpoints, "write_file", Path.write_bytes):
        yield


@contextmanager
def unsynced_folders() -> Iterator[None]:
    """Within the context the folder of a checkpoint is not synced."""
    with patch.object(checkpoints, "write_folder", _folder_unsynced):
        yield


@contextmanager
def without_hashes() -> Iterator[None]:
    """Within the context a manifest tells no more of a file than its size."""
    with patch.object(checkpoints, "_described", lambda content: {"size": len(content)}):
        yield


@contextmanager
def silent() -> Iterator[None]:
    """Within the context what cannot be written is passed over, and nothing is said of it."""
    real = Run.keep

    def keep(run: Run, checkpoint: Checkpoint) -> None:
        with suppress(DiskError):
            real(run, checkpoint)

    with patch.object(Run, "keep", keep), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
